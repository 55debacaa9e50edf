"""Does this machine's relay give Cloudflare's tunnels, so that linking needs cloudflared?

A Doorward relay with tunnels of its own, or with none, says so in its public metadata; any other gives Cloudflare's, as T3's
own does. What was learned is kept beside the sign-in, because linking itself asks no relay.
"""

from pathlib import Path

import msgspec

from doorward.outbound import Outbound, OutboundError

_METADATA = "/.well-known/oauth-authorization-server"
_SECONDS = 5.0


class _Metadata(msgspec.Struct, frozen=True):
    issuer: str
    doorward_managed_endpoints: str = "cloudflare"


class _Learned(msgspec.Struct, frozen=True):
    relay_url: str
    is_needed: bool


class RelayClientNeed:
    def __init__(self, home: Path, outbound: Outbound) -> None:
        self._path = home / "userdata" / "relay-client-need.json"
        self._outbound = outbound

    def remembered(self, relay_url: str) -> bool:
        """As learned last; a relay that was never asked is not held to need anything."""
        try:
            learned = msgspec.json.decode(self._path.read_bytes(), type=_Learned)
        except (OSError, msgspec.MsgspecError):
            return False
        return learned.relay_url == relay_url and learned.is_needed

    async def learn(self, relay_url: str) -> bool:
        """Ask the relay; one that does not answer leaves what was known."""
        try:
            answer = await self._outbound.request("GET", relay_url + _METADATA, timeout=_SECONDS)
            is_needed = (
                answer.status == 200 and answer.json(_Metadata).doorward_managed_endpoints == "cloudflare"
            )
        except OutboundError:
            return self.remembered(relay_url)
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.write_bytes(msgspec.json.encode(_Learned(relay_url, is_needed)))
        return is_needed

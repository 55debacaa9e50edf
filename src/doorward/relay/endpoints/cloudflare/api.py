"""Cloudflare's REST API, as far as tunnels need it.

https://developers.cloudflare.com/api/resources/zero_trust/subresources/tunnels/subresources/cloudflared/ and
https://developers.cloudflare.com/api/resources/dns/subresources/records/. Needs a token with `Cloudflare Tunnel: Edit`
on the account and `DNS: Edit` on the zone. Every call is made once: whoever retries decides it knowingly.
"""

from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from doorward.outbound import Outbound, OutboundError
from doorward.relay.settings import CloudflareSettings

T = TypeVar("T")

CALL_TIMEOUT_S = 8.0
PAGE_SIZE = 100
TUNNEL_TARGET = "cfargotunnel.com"
AUTOMATIC_TTL = 1

NAME_TAKEN = 1013
HAS_CONNECTIONS = 1022


class Tunnel(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is `inactive` (never connected), `healthy`, `degraded` or `down`; times are ISO 8601."""

    id: str
    name: str
    status: str | None = None
    created_at: str | None = None
    deleted_at: str | None = None
    conns_inactive_at: str | None = None


class DnsRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    content: str = ""


class ApiMessage(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""


class Envelope(msgspec.Struct, frozen=True):
    """Not every answer has every member: a deleted record's is documented with `result` alone."""

    success: bool = True
    errors: list[ApiMessage] | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")


class NewTunnel(msgspec.Struct, frozen=True):
    name: str
    config_src: str = "cloudflare"


class Ingress(msgspec.Struct, frozen=True, omit_defaults=True):
    service: str
    hostname: str | None = None


class TunnelConfiguration(msgspec.Struct, frozen=True):
    ingress: list[Ingress]


class ConfigurationBody(msgspec.Struct, frozen=True):
    config: TunnelConfiguration


class NewRecord(msgspec.Struct, frozen=True):
    name: str
    content: str
    type: str = "CNAME"
    ttl: int = AUTOMATIC_TTL
    proxied: bool = True


class CloudflareError(Exception):
    """A call that did not do what it was asked. `status` is 0 when no answer came; `codes` are Cloudflare's own."""

    def __init__(self, call: str, status: int, errors: list[ApiMessage], reason: str = "") -> None:
        told = "; ".join(f"{error.message} ({error.code})" for error in errors) or reason
        super().__init__(f"{call} was answered {status}: {told}" if status else f"{call}: {told}")
        self.status = status
        self.codes = frozenset(error.code for error in errors)

    @property
    def is_not_found(self) -> bool:
        return self.status == 404

    @property
    def is_rate_limited(self) -> bool:
        return self.status == 429


class CloudflareApi:
    """One account and zone. Every method raises `CloudflareError`."""

    def __init__(self, settings: CloudflareSettings, outbound: Outbound) -> None:
        self._settings = settings
        self._outbound = outbound
        self._tunnels = f"/accounts/{quote(settings.account_id, safe='')}/cfd_tunnel"
        self._records = f"/zones/{quote(settings.zone_id, safe='')}/dns_records"

    async def find_tunnel(self, name: str) -> Tunnel | None:
        """The tunnel of exactly this name that is not deleted."""
        query = {"name": name, "is_deleted": "false"}
        found = await self._call("GET", self._tunnels, list[Tunnel], query=query)
        return next((tunnel for tunnel in found if tunnel.name == name and tunnel.deleted_at is None), None)

    async def list_tunnels(self, prefix: str, page: int) -> list[Tunnel]:
        """One page (from 1) of at most 100 tunnels whose name begins with `prefix`."""
        query = {
            "include_prefix": prefix,
            "is_deleted": "false",
            "per_page": str(PAGE_SIZE),
            "page": str(page),
        }
        return await self._call("GET", self._tunnels, list[Tunnel], query=query)

    async def get_tunnel(self, tunnel_id: str) -> Tunnel | None:
        """`None` for a tunnel that is gone."""
        try:
            tunnel = await self._call("GET", self._tunnel(tunnel_id), Tunnel)
        except CloudflareError as error:
            if error.is_not_found:
                return None
            raise
        return tunnel if tunnel.deleted_at is None else None

    async def create_tunnel(self, name: str) -> Tunnel:
        return await self._call("POST", self._tunnels, Tunnel, body=NewTunnel(name))

    async def configure_tunnel(self, tunnel_id: str, *, hostname: str, service: str) -> None:
        """Lead one host name to a local URL, and every other to a 404."""
        rules = [Ingress(service, hostname), Ingress("http_status:404")]
        body = ConfigurationBody(TunnelConfiguration(rules))
        await self._call("PUT", self._tunnel(tunnel_id) + "/configurations", msgspec.Raw, body=body)

    async def tunnel_token(self, tunnel_id: str) -> str:
        """What `cloudflared` opens the tunnel with. Secret."""
        return await self._call("GET", self._tunnel(tunnel_id) + "/token", str)

    async def delete_tunnel(self, tunnel_id: str) -> None:
        """Also a tunnel whose connector still runs: its connections are dropped first. What is gone counts as deleted."""
        try:
            await self._delete(self._tunnel(tunnel_id))
        except CloudflareError as error:
            if HAS_CONNECTIONS not in error.codes:
                raise
            await self._delete(self._tunnel(tunnel_id) + "/connections")
            await self._delete(self._tunnel(tunnel_id))

    async def find_records(self, hostname: str) -> list[DnsRecord]:
        """The CNAME records of exactly this name, whatever the search found beside them."""
        found = await self._call(
            "GET", self._records, list[DnsRecord], query={"search": hostname, "type": "CNAME"}
        )
        return [record for record in found if record.name.lower().rstrip(".") == hostname]

    async def create_record(self, hostname: str, tunnel_id: str) -> DnsRecord:
        return await self._call("POST", self._records, DnsRecord, body=_record(hostname, tunnel_id))

    async def update_record(self, record_id: str, hostname: str, tunnel_id: str) -> DnsRecord:
        return await self._call("PUT", self._record(record_id), DnsRecord, body=_record(hostname, tunnel_id))

    async def delete_record(self, record_id: str) -> None:
        """What is gone counts as deleted."""
        await self._delete(self._record(record_id))

    def _tunnel(self, tunnel_id: str) -> str:
        return f"{self._tunnels}/{quote(tunnel_id, safe='')}"

    def _record(self, record_id: str) -> str:
        return f"{self._records}/{quote(record_id, safe='')}"

    async def _delete(self, path: str) -> None:
        try:
            await self._call("DELETE", path, msgspec.Raw)
        except CloudflareError as error:
            if not error.is_not_found:
                raise

    async def _call(
        self,
        method: str,
        path: str,
        result: type[T],
        *,
        query: dict[str, str] | None = None,
        body: msgspec.Struct | dict[str, str] | None = None,
    ) -> T:
        call = f"{method} {path}"
        headers = {"authorization": f"Bearer {self._settings.api_token}", "accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            response = await self._outbound.request(
                method,
                self._settings.api_url + path + (f"?{urlencode(query)}" if query else ""),
                headers=headers,
                body=None if body is None else msgspec.json.encode(body),
                timeout=CALL_TIMEOUT_S,
            )
        except OutboundError as error:
            raise CloudflareError(call, 0, [], str(error)) from error
        try:
            envelope = msgspec.json.decode(response.body, type=Envelope)
            if 200 <= response.status < 300 and envelope.success:
                return msgspec.json.decode(envelope.result, type=result)
        except msgspec.MsgspecError as error:
            raise CloudflareError(call, response.status, [], "an answer that is not Cloudflare's") from error
        raise CloudflareError(call, response.status, envelope.errors or [])


def _record(hostname: str, tunnel_id: str) -> NewRecord:
    return NewRecord(name=hostname, content=f"{tunnel_id}.{TUNNEL_TARGET}")

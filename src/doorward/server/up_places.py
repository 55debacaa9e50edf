"""Where the parts of `doorward up` are, and what its accounts server is like."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from doorward.identity.settings import IdentitySettings

ZONE = "env.localhost"


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """The one canonical origin of each role."""

    accounts: str
    relay: str
    edge: str
    zone: str
    ports: tuple[int, ...]

    @property
    def scheme(self) -> str:
        return urlsplit(self.edge).scheme

    @property
    def zone_port(self) -> int:
        return self.ports[-1]


def places_of(port: int, *, tls: bool) -> Places:
    """Host names on one port over plain HTTP; bare loopback with three ports over HTTPS, where Clerk's and T3's programs go."""
    if tls:
        return Places(
            accounts=f"https://127.0.0.1:{port}",
            relay=f"https://127.0.0.1:{port + 1}",
            edge=f"https://edge.{ZONE}:{port + 2}",
            zone=f"{ZONE}:{port + 2}",
            ports=(port, port + 1, port + 2),
        )
    return Places(
        accounts=f"http://accounts.localhost:{port}",
        relay=f"http://relay.localhost:{port}",
        edge=f"http://edge.{ZONE}:{port}",
        zone=f"{ZONE}:{port}",
        ports=(port,),
    )


def identity_settings(places: Places) -> IdentitySettings:
    return IdentitySettings(
        origin=places.accounts,
        development=True,
        sign_up="open",
        relay_origin=places.relay,
        gate_zone=places.zone,
        # Whoever tries things out has their own programs on this machine.
        webhook_private_hosts=("localhost", "127.0.0.1", "::1"),
    )

"""The connector token: everything a machine needs to open its tunnel, as one string a relay hands over.

base64url (no padding) of JSON `{edgeUrl, hostnames, environmentId, generation, seed, origin}`; `seed` is the base64url
of 32 bytes, the Ed25519 private key whose public half the relay registered. It is a secret: shown once, sealed at rest.
`origin` is the machine's own HTTP server as its link proof named it; `doorward-connector` carries there, while our agent
has a gate in front of its services and does not read it.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

SEED_BYTES = 32


class InvalidConnectorToken(ValueError):
    """The string is not a connector token; the message never repeats it."""


class _Wire(msgspec.Struct, rename="camel"):
    edge_url: str
    hostnames: list[str]
    environment_id: str
    generation: int
    seed: str
    origin: str = ""


class ConnectorToken:
    """Immutable by convention; its repr leaves the seed out."""

    __slots__ = ("edge_url", "environment_id", "generation", "hostnames", "origin", "seed")

    def __init__(
        self,
        *,
        edge_url: str,
        hostnames: list[str],
        environment_id: str,
        generation: int,
        seed: bytes,
        origin: str = "",
    ) -> None:
        if len(seed) != SEED_BYTES:
            raise InvalidConnectorToken(f"a connector token's seed has {SEED_BYTES} bytes")
        self.edge_url = edge_url
        self.hostnames = hostnames
        self.environment_id = environment_id
        self.generation = generation
        self.seed = seed
        self.origin = origin

    def __repr__(self) -> str:
        return f"ConnectorToken(edge_url={self.edge_url!r}, environment_id={self.environment_id!r}, generation={self.generation})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ConnectorToken) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash((self.environment_id, self.generation))

    def encode(self) -> str:
        wire = _Wire(
            self.edge_url,
            self.hostnames,
            self.environment_id,
            self.generation,
            base64url(self.seed),
            self.origin,
        )
        return base64url(msgspec.json.encode(wire))

    @classmethod
    def decode(cls, text: str) -> ConnectorToken:
        """Raises `InvalidConnectorToken`."""
        try:
            wire = msgspec.json.decode(unbase64url(text.strip()), type=_Wire)
            seed = unbase64url(wire.seed)
        except (msgspec.MsgspecError, ValueError) as error:
            raise InvalidConnectorToken("this is not a connector token") from error
        return cls(
            edge_url=wire.edge_url,
            hostnames=wire.hostnames,
            environment_id=wire.environment_id,
            generation=wire.generation,
            seed=seed,
            origin=wire.origin,
        )


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unbase64url(text: str) -> bytes:
    """Raises ValueError for anything but unpadded base64url."""
    if "=" in text or "+" in text or "/" in text:
        raise ValueError("not base64url")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error

"""Objects that appear in bodies and in signed claims alike."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from doorward.t3_connect.wire import Tstr, Wire

ProviderKind = Literal["manual", "cloudflare_tunnel", "t3_relay"]
ManagedProvider = Literal["cloudflare_tunnel", "t3_relay"]
"""The kinds of endpoint that a relay can give."""
DeviceType = Literal["desktop", "mobile", "tablet", "bot", "unknown"]
ApprovalStatus = Literal["pending", "approved", "rejected"]
SecurityMode = Literal["account", "client-approval"]
OperatingSystem = Literal["darwin", "linux", "windows", "unknown"]
Architecture = Literal["arm64", "x64", "other"]


class Endpoint(Wire, frozen=True, kw_only=True):
    """Where an environment is reached: base URLs for HTTP and for its WebSocket."""

    http_base_url: Tstr
    ws_base_url: Tstr
    provider_kind: ProviderKind


class Origin(Wire, frozen=True, kw_only=True):
    """Where the environment listens on its own machine."""

    local_http_host: Tstr
    local_http_port: Annotated[int, msgspec.Meta(ge=1, le=65535)]


class EndpointRuntime(Wire, frozen=True, kw_only=True):
    """What the connector beside the environment needs. `connector_token` is secret.

    `connector_url` and `origin_url` come with `t3_relay`: where to dial, and where to carry to.
    """

    provider_kind: ProviderKind
    connector_token: Tstr
    connector_url: Tstr | None = None
    origin_url: Tstr | None = None
    tunnel_id: Tstr | None = None
    tunnel_name: Tstr | None = None

    def __repr__(self) -> str:
        return f"EndpointRuntime(provider_kind={self.provider_kind!r}, tunnel_name={self.tunnel_name!r})"


class Platform(Wire, frozen=True, kw_only=True):
    os: OperatingSystem
    arch: Architecture


class Descriptor(Wire, frozen=True, kw_only=True):
    """What an environment says of itself. `capabilities` stays open: newer environments send more of them,
    and what was signed must compare equal to what was sent."""

    environment_id: Tstr
    label: Tstr
    platform: Platform
    server_version: Tstr
    capabilities: dict[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        capabilities = {"repositoryIdentity": False, **self.capabilities}
        if not isinstance(capabilities["repositoryIdentity"], bool):
            raise TypeError("repositoryIdentity is not a boolean")
        msgspec.structs.force_setattr(self, "capabilities", capabilities)


class ClientMeta(Wire, frozen=True, kw_only=True):
    """How a connecting client presents itself. Untrusted: shown to people, never decided upon."""

    label: Tstr | UnsetType = UNSET
    device_type: DeviceType | UnsetType = UNSET
    os: Tstr | UnsetType = UNSET


class ProofRequest(Wire, frozen=True, kw_only=True):
    """Body of the relay's calls to an environment: a signed request and nothing else."""

    proof: Tstr


class Ok(Wire, frozen=True, kw_only=True):
    ok: bool

"""Bodies of the environment's HTTP interface, apart from its answers to the relay."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from doorward.t3_connect.messages.shared import (
    ApprovalStatus,
    DeviceType,
    Endpoint,
    EndpointRuntime,
    Origin,
    ProviderKind,
    SecurityMode,
)
from doorward.t3_connect.wire import Form, Tstr, Wire

TOKEN_TYPE_ENVIRONMENT_BOOTSTRAP = "urn:t3:params:oauth:token-type:environment-bootstrap"  # noqa: S105 - an identifier

SessionMethod = Literal["browser-session-cookie", "bearer-access-token", "dpop-access-token"]
EnvironmentScope = Literal[
    "orchestration:read",
    "orchestration:operate",
    "terminal:operate",
    "review:write",
    "relay:read",
    "access:read",
    "access:write",
    "relay:write",
]


class ServerAuthDescriptor(Wire, frozen=True, kw_only=True):
    """How this server lets clients in."""

    policy: Literal["desktop-managed-local", "loopback-browser", "remote-reachable", "unsafe-no-auth"]
    bootstrap_methods: tuple[Literal["desktop-bootstrap", "one-time-token"], ...]
    session_methods: tuple[SessionMethod, ...]
    session_cookie_name: Tstr


class SessionState(Wire, frozen=True, kw_only=True):
    """Whether the caller is signed in; the three optionals are present exactly when it is."""

    authenticated: bool
    auth: ServerAuthDescriptor
    scopes: tuple[EnvironmentScope, ...] | UnsetType = UNSET
    session_method: SessionMethod | UnsetType = UNSET
    expires_at: Tstr | UnsetType = UNSET


class BrowserSessionRequest(Wire, frozen=True, kw_only=True):
    credential: Tstr

    def __repr__(self) -> str:
        return "BrowserSessionRequest()"


class BrowserSessionResponse(Wire, frozen=True, kw_only=True):
    authenticated: bool
    scopes: tuple[EnvironmentScope, ...]
    session_method: Literal["browser-session-cookie"]
    expires_at: Tstr


class EnvironmentTokenRequest(Form, frozen=True, kw_only=True):
    """RFC 8693 form: a pairing credential for an access token. `scope` is trimmed, blank is refused."""

    grant_type: Literal["urn:ietf:params:oauth:grant-type:token-exchange"]
    subject_token: Tstr
    subject_token_type: Literal["urn:t3:params:oauth:token-type:environment-bootstrap"]
    requested_token_type: Literal["urn:ietf:params:oauth:token-type:access_token"]
    scope: Tstr | UnsetType = UNSET
    client_label: Tstr | UnsetType = UNSET
    client_device_type: DeviceType | UnsetType = UNSET
    client_os: Tstr | UnsetType = UNSET

    def __repr__(self) -> str:
        return f"EnvironmentTokenRequest(scope={self.scope!r}, client_label={self.client_label!r})"


class WebSocketTicket(Wire, frozen=True, kw_only=True):
    """A bearer secret for one socket's upgrade request."""

    ticket: Tstr
    expires_at: Tstr

    def __repr__(self) -> str:
        return f"WebSocketTicket(expires_at={self.expires_at!r})"


class PairingTokenRequest(Wire, frozen=True, kw_only=True):
    label: Tstr | UnsetType = UNSET
    scopes: tuple[EnvironmentScope, ...] | UnsetType = UNSET


class PairingToken(Wire, frozen=True, kw_only=True):
    id: Tstr
    credential: Tstr
    label: Tstr | UnsetType = UNSET
    expires_at: Tstr

    def __repr__(self) -> str:
        return f"PairingToken(id={self.id!r}, label={self.label!r})"


class PairingLink(Wire, frozen=True, kw_only=True):
    id: Tstr
    credential: Tstr
    scopes: tuple[EnvironmentScope, ...]
    subject: Tstr
    label: Tstr | UnsetType = UNSET
    created_at: Tstr
    expires_at: Tstr

    def __repr__(self) -> str:
        return f"PairingLink(id={self.id!r}, subject={self.subject!r}, label={self.label!r})"


class PairingLinkReference(Wire, frozen=True, kw_only=True):
    id: Tstr


class ClientSessionReference(Wire, frozen=True, kw_only=True):
    session_id: Tstr


class ConnectClientReference(Wire, frozen=True, kw_only=True):
    client_proof_key_thumbprint: Tstr


class Revoked(Wire, frozen=True, kw_only=True):
    revoked: bool


class RevokedCount(Wire, frozen=True, kw_only=True):
    revoked_count: Annotated[int, msgspec.Meta(ge=0)]


class ClientMetadata(Wire, frozen=True, kw_only=True):
    """What is known of a client's presentation. Untrusted."""

    label: Tstr | UnsetType = UNSET
    ip_address: Tstr | UnsetType = UNSET
    user_agent: Tstr | UnsetType = UNSET
    device_type: DeviceType
    os: Tstr | UnsetType = UNSET
    browser: Tstr | UnsetType = UNSET


class ClientSession(Wire, frozen=True, kw_only=True):
    session_id: Tstr
    subject: Tstr
    scopes: tuple[EnvironmentScope, ...]
    method: SessionMethod
    client: ClientMetadata
    issued_at: Tstr
    expires_at: Tstr
    last_connected_at: Tstr | None
    connected: bool
    current: bool


class SecurityModeBody(Wire, frozen=True, kw_only=True):
    mode: SecurityMode


class ConnectClient(Wire, frozen=True, kw_only=True):
    """A device that asked to connect, by its key. `role` is an extension of ours."""

    client_proof_key_thumbprint: Tstr
    cloud_user_id: Tstr
    device_id: Tstr | UnsetType = UNSET
    status: ApprovalStatus
    role: Literal["standard", "administrator"] | UnsetType = UNSET
    client: ClientMetadata
    requested_at: Tstr
    updated_at: Tstr
    approved_at: Tstr | None
    rejected_at: Tstr | None
    last_seen_at: Tstr | None


class ConnectClientDecision(Wire, frozen=True, kw_only=True):
    """None: there was no active row to decide about."""

    client: ConnectClient | None


class LinkProofRequest(Wire, frozen=True, kw_only=True):
    challenge: str
    relay_issuer: str
    endpoint: Endpoint
    origin: Origin


class RelayConfigRequest(Wire, frozen=True, kw_only=True):
    """The relay's answer to a link, handed to the environment. The strings are checked one by one with a
    message each, so they are not trimmed or refused here."""

    relay_url: str
    relay_issuer: str | UnsetType = UNSET
    cloud_user_id: str
    environment_credential: str
    cloud_mint_public_key: str
    endpoint_runtime: EndpointRuntime | None

    def __repr__(self) -> str:
        return f"RelayConfigRequest(relay_url={self.relay_url!r}, cloud_user_id={self.cloud_user_id!r})"


class EndpointRuntimeStatus(Wire, frozen=True, kw_only=True):
    """`disabled` stands alone; `running` has a pid, `failed` a reason."""

    status: Literal["disabled", "running", "failed", "unsupported"]
    provider_kind: ProviderKind | UnsetType = UNSET
    pid: int | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    tunnel_id: str | UnsetType = UNSET
    tunnel_name: str | UnsetType = UNSET


class RelayConfigResponse(Wire, frozen=True, kw_only=True):
    """Also the answer to unlinking."""

    ok: bool
    endpoint_runtime_status: EndpointRuntimeStatus


class LinkState(Wire, frozen=True, kw_only=True):
    """`connect_security_mode` None: the stored mode is unreadable, and must never be shown as `account`."""

    linked: bool
    cloud_user_id: str | None
    relay_url: str | None
    relay_issuer: str | None
    publish_agent_activity: bool
    connect_security_mode: SecurityMode | None


class ConnectPreferences(Wire, frozen=True, kw_only=True):
    publish_agent_activity: bool

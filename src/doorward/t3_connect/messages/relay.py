"""Bodies of the relay's HTTP interface, and of the environment's answers to the relay."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from doorward.t3_connect.messages.shared import (
    ApprovalStatus,
    ClientMeta,
    Descriptor,
    Endpoint,
    EndpointRuntime,
    ManagedProvider,
    Origin,
)
from doorward.t3_connect.wire import Form, SchemaMismatch, Tstr, Wire, decode_json

P = TypeVar("P")
A = TypeVar("A")

GRANT_TYPE_TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - an identifier
TOKEN_TYPE_JWT = "urn:ietf:params:oauth:token-type:jwt"  # noqa: S105 - an identifier
TOKEN_TYPE_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - an identifier


class RelayHealth(Wire, frozen=True, kw_only=True):
    ok: bool
    service: Literal["relay"]


class AuthorizationServerMetadata(Form, frozen=True, kw_only=True):
    """RFC 8414, as far as the relay is one.

    `doorward_managed_endpoints`, ours, is how machines get their addresses where it takes no cloudflared.
    """

    issuer: str
    token_endpoint: str
    grant_types_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    dpop_signing_alg_values_supported: tuple[str, ...]
    scopes_supported: tuple[str, ...]
    doorward_managed_endpoints: Literal["embedded", "manual"] | UnsetType = UNSET


class ProtectedResourceMetadata(Form, frozen=True, kw_only=True):
    """RFC 9728, as far as the relay is one."""

    resource: str
    authorization_servers: tuple[str, ...]
    scopes_supported: tuple[str, ...]
    dpop_bound_access_tokens_required: bool
    dpop_signing_alg_values_supported: tuple[str, ...]


class ServiceEntry(Wire, frozen=True, kw_only=True):
    """A service behind an environment's gate (an extension of ours)."""

    name: Tstr
    url: Tstr


class EnvironmentEntry(Wire, frozen=True, kw_only=True):
    """A linked environment. What comes after `linked_at` are extensions of ours; stock clients drop them.

    `made_at` and `made_from` (an address, empty where unknown) say when the link last was news: first made, renamed,
    or made with another key. `linked_at` is the first time ever.
    """

    environment_id: Tstr
    label: Tstr
    endpoint: Endpoint
    linked_at: Tstr
    services: tuple[ServiceEntry, ...] | UnsetType = UNSET
    connected: bool | UnsetType = UNSET
    made_at: Tstr | UnsetType = UNSET
    made_from: str | UnsetType = UNSET


class EnvironmentList(Wire, frozen=True, kw_only=True):
    environments: tuple[EnvironmentEntry, ...]


class ServiceRegistration(Wire, frozen=True, kw_only=True):
    """Answer to registering a service's name (an extension of ours)."""

    name: Tstr
    hostname: Tstr
    url: Tstr


class ServiceList(Wire, frozen=True, kw_only=True):
    services: tuple[ServiceRegistration, ...]


class LinkChallengeRequest(Wire, frozen=True, kw_only=True):
    """Hosts that know more than cloudflared say so in `supported_managed_endpoint_providers`; later ones may know others."""

    notifications_enabled: bool
    live_activities_enabled: bool
    managed_tunnels_enabled: bool
    supported_managed_endpoint_providers: tuple[str, ...] | UnsetType = UNSET


class LinkChallengeResponse(Wire, frozen=True, kw_only=True):
    """`managed_endpoint_provider` is what the relay chose, where it is not `cloudflare_tunnel`."""

    challenge: Tstr
    expires_at: Tstr
    managed_endpoint_provider: ManagedProvider | UnsetType = UNSET


class LinkRequest(Wire, frozen=True, kw_only=True):
    device_id: Tstr | None = None
    proof: Tstr
    notifications_enabled: bool
    live_activities_enabled: bool
    managed_tunnels_enabled: bool
    managed_endpoint_provider: ManagedProvider | UnsetType = UNSET


class LinkResponse(Wire, frozen=True, kw_only=True):
    """`environment_credential` and the runtime's token are secret."""

    ok: bool
    cloud_user_id: Tstr
    environment_id: Tstr
    endpoint: Endpoint
    endpoint_runtime: EndpointRuntime | None
    relay_issuer: Tstr
    environment_credential: Tstr
    cloud_mint_public_key: Tstr

    def __repr__(self) -> str:
        return f"LinkResponse(environment_id={self.environment_id!r}, endpoint={self.endpoint!r})"


class TunnelRecoveryRequest(Wire, frozen=True, kw_only=True):
    """An environment tells which tunnel it runs."""

    cloud_user_id: Tstr
    tunnel_id: Tstr
    origin: Origin
    proof: Tstr


class TunnelRecoveryStatus(Wire, frozen=True, kw_only=True):
    status: Literal["ready", "recovery_required"]


class TunnelRequest(Wire, frozen=True, kw_only=True):
    """An environment whose tunnel is gone asks for a new one."""

    cloud_user_id: Tstr
    origin: Origin
    proof: Tstr


class TunnelResponse(Wire, frozen=True, kw_only=True):
    endpoint: Endpoint
    endpoint_runtime: EndpointRuntime


class TokenExchangeRequest(Form, frozen=True, kw_only=True):
    """RFC 8693 form. Which client ids and token types are accepted together is the relay's decision."""

    grant_type: Literal["urn:ietf:params:oauth:grant-type:token-exchange"]
    subject_token: Tstr
    subject_token_type: Literal[
        "urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:access_token"
    ]
    requested_token_type: Literal["urn:ietf:params:oauth:token-type:access_token"]
    resource: Tstr
    scope: str
    client_id: Literal["t3-mobile", "t3-web", "doorward-cli", "doorward-gate"]

    def __repr__(self) -> str:
        return f"TokenExchangeRequest(client_id={self.client_id!r}, scope={self.scope!r})"


class TokenExchangeResponse(Form, frozen=True, kw_only=True):
    access_token: Tstr
    issued_token_type: Literal["urn:ietf:params:oauth:token-type:access_token"]
    token_type: Literal["DPoP", "Bearer"]
    expires_in: Annotated[int, msgspec.Meta(gt=0)]
    scope: Tstr

    def __repr__(self) -> str:
        return f"TokenExchangeResponse(token_type={self.token_type!r}, scope={self.scope!r})"


class ConnectRequest(Wire, frozen=True, kw_only=True):
    """`client_key_thumbprint` is the deprecated name of `client_proof_key_thumbprint`."""

    device_id: Tstr | None = None
    client_key_thumbprint: Tstr | None = None
    client_proof_key_thumbprint: Tstr | None = None
    client: ClientMeta | None = None


class ConnectAuthorized(Wire, frozen=True, kw_only=True):
    """`credential` is secret and single-use; clients tell the two answers apart by it."""

    environment_id: Tstr
    endpoint: Endpoint
    credential: Tstr
    expires_at: Tstr

    def __repr__(self) -> str:
        return f"ConnectAuthorized(environment_id={self.environment_id!r}, expires_at={self.expires_at!r})"


class ConnectPending(Wire, frozen=True, kw_only=True):
    status: Literal["pending_approval"]
    environment_id: Tstr
    endpoint: Endpoint
    client_proof_key_thumbprint: Tstr
    approval_status: ApprovalStatus
    requested_at: Tstr


class StatusResponse(Wire, frozen=True, kw_only=True):
    """Online carries `descriptor`; offline carries `error` and `trace_id`."""

    environment_id: Tstr
    endpoint: Endpoint
    status: Literal["online", "offline"]
    checked_at: Tstr
    descriptor: Descriptor | UnsetType = UNSET
    error: str | UnsetType = UNSET
    trace_id: str | UnsetType = UNSET


class HealthResponse(Wire, frozen=True, kw_only=True):
    """The environment's answer to a health request."""

    environment_id: Tstr
    status: Literal["online"]
    descriptor: Descriptor
    checked_at: Tstr
    proof: Tstr


class MintAuthorized(Wire, frozen=True, kw_only=True):
    """The environment's answer to a mint request: a credential. Secret."""

    credential: Tstr
    expires_at: Tstr
    proof: Tstr

    def __repr__(self) -> str:
        return f"MintAuthorized(expires_at={self.expires_at!r})"


class MintPending(Wire, frozen=True, kw_only=True):
    """The environment's answer to a mint request: this client is not approved."""

    status: Literal["pending_approval"]
    client_proof_key_thumbprint: Tstr
    approval_status: ApprovalStatus
    requested_at: Tstr
    proof: Tstr


def decode_mint_response(body: bytes) -> MintAuthorized | MintPending:
    """The union of mint answers. Pending wins whenever its members are complete, so that a body that says
    both "not approved" and carries a credential never yields the credential. Raises SchemaMismatch."""
    return _pending_first(body, MintPending, MintAuthorized)


def decode_connect_response(body: bytes) -> ConnectAuthorized | ConnectPending:
    """The union of connect answers, by the same rule. Raises SchemaMismatch."""
    return _pending_first(body, ConnectPending, ConnectAuthorized)


def _pending_first(body: bytes, pending: type[P], authorized: type[A]) -> P | A:
    try:
        return decode_json(pending, body)
    except SchemaMismatch:
        return decode_json(authorized, body)

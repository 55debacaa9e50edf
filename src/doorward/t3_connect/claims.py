"""The claims of every T3 Connect JWT, with its `typ`. Signed by EdDSA, no `kid`, members in this order.

Inside a token an absent optional is absent, never null.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from doorward.t3_connect.messages.activity import ActivityState
from doorward.t3_connect.messages.shared import (
    ApprovalStatus,
    ClientMeta,
    Descriptor,
    Endpoint,
    ManagedProvider,
    Origin,
)
from doorward.t3_connect.wire import SchemaMismatch, Tstr, Wire

TYP_LINK_CHALLENGE = "t3-link-challenge+jwt"
TYP_RELAY_ACCESS = "t3-relay-dpop-access+jwt"
TYP_LINK_PROOF = "t3-env-link+jwt"
TYP_HEALTH_REQUEST = "t3-cloud-health+jwt"
TYP_HEALTH_RESPONSE = "t3-env-health+jwt"
TYP_MINT_REQUEST = "t3-cloud-mint+jwt"
TYP_MINT_RESPONSE = "t3-env-mint+jwt"
TYP_TUNNEL_RECOVERY = "t3-env-managed-tunnel-recovery+jwt"
TYP_ACTIVITY = "t3-env-activity+jwt"
TYP_TUNNEL = "doorward-tunnel+jwt"

LinkScope = Literal["agent_activity_notifications", "managed_tunnels"]


class WireClaims(Wire, frozen=True, kw_only=True):
    """What all of them carry; `iat` and `exp` in seconds since the epoch."""

    iss: Tstr
    aud: Tstr
    sub: Tstr
    jti: Tstr
    iat: int
    exp: int


class Confirmation(Wire, frozen=True, kw_only=True):
    """`cnf` of RFC 7800 with the thumbprint of RFC 9449 §6.1."""

    jkt: Tstr


class LinkChallengeClaims(WireClaims, frozen=True, kw_only=True):
    kind: Literal["environment_link_challenge"]
    notifications_enabled: bool
    live_activities_enabled: bool
    managed_tunnels_enabled: bool
    managed_endpoint_provider: ManagedProvider | UnsetType = UNSET


class RelayAccessClaims(WireClaims, frozen=True, kw_only=True):
    """`environment_id`, ours, narrows a gate's token to one environment."""

    client_id: Literal["t3-mobile", "t3-web", "doorward-cli", "doorward-gate"] = msgspec.field(
        name="client_id"
    )
    scope: str
    cnf: Confirmation
    environment_id: Tstr | UnsetType = msgspec.field(default=UNSET, name="environment_id")


class LinkProofClaims(WireClaims, frozen=True, kw_only=True):
    challenge: Tstr
    descriptor: Descriptor
    environment_id: Tstr
    environment_public_key: Tstr
    endpoint: Endpoint
    origin: Origin
    scopes: tuple[LinkScope, ...]


class HealthRequestClaims(WireClaims, frozen=True, kw_only=True):
    environment_id: Tstr
    nonce: Tstr
    scope: tuple[str, ...]


class HealthResponseClaims(WireClaims, frozen=True, kw_only=True):
    environment_id: Tstr
    request_nonce: Tstr
    status: Literal["online"]
    descriptor: Descriptor
    checked_at: Tstr


class MintRequestClaims(WireClaims, frozen=True, kw_only=True):
    environment_id: Tstr
    client_proof_key_thumbprint: Tstr
    cnf: Confirmation
    device_id: Tstr | UnsetType = UNSET
    client: ClientMeta | UnsetType = UNSET
    nonce: Tstr
    scope: tuple[str, ...]


class MintAuthorizedClaims(WireClaims, frozen=True, kw_only=True):
    environment_id: Tstr
    client_proof_key_thumbprint: Tstr
    request_nonce: Tstr
    credential: Tstr

    def __repr__(self) -> str:
        return f"MintAuthorizedClaims(environment_id={self.environment_id!r}, exp={self.exp!r})"


class MintPendingClaims(WireClaims, frozen=True, kw_only=True):
    environment_id: Tstr
    client_proof_key_thumbprint: Tstr
    request_nonce: Tstr
    status: Literal["pending_approval"]
    approval_status: ApprovalStatus
    requested_at: Tstr


class TunnelRecoveryClaims(WireClaims, frozen=True, kw_only=True):
    """`register` tells of the tunnel an environment runs, and names it; `recover` asks for a new one."""

    action: Literal["register", "recover"]
    tunnel_id: Tstr | UnsetType = UNSET
    environment_id: Tstr
    cloud_user_id: Tstr
    origin: Origin


class SignedActivityState(ActivityState, frozen=True, kw_only=True):
    """An activity state inside a proof, where an absent detail is absent."""

    detail: Tstr | UnsetType = UNSET  # type: ignore[assignment]


class ActivityClaims(WireClaims, frozen=True, kw_only=True):
    environment_id: Tstr
    thread_id: Tstr
    state: SignedActivityState | None


def mint_response_claims(claims: dict[str, Any]) -> MintAuthorizedClaims | MintPendingClaims:
    """The union of mint proofs, by the rule of the bodies: pending wins when its members are complete.
    Raises SchemaMismatch."""
    if "status" in claims:
        with suppress(msgspec.ValidationError):
            return msgspec.convert(claims, MintPendingClaims)
    try:
        return msgspec.convert(claims, MintAuthorizedClaims)
    except msgspec.ValidationError:
        raise SchemaMismatch("not a mint proof") from None

"""The rooms' exceptions as the protocol's errors: one place says which is which."""

from doorward.relay.activity import proof as activity_proof
from doorward.relay.connect import errors as connect_errors
from doorward.relay.extension_errors import (
    RateLimited,
    ServiceNameLimit,
    ServiceNameRefused,
    ServiceNameTaken,
)
from doorward.relay.limits.service import TooManyRequests
from doorward.relay.links import errors as link_errors
from doorward.relay.recovery.rules import RecoveryRefused
from doorward.relay.recovery.service import EndpointNotReachable
from doorward.relay.replay.service import ProofRefused
from doorward.relay.services.service import NameRefused
from doorward.t3_connect import RelayError
from doorward.t3_connect import errors as wire

LINKING: tuple[type[wire.ErrorBody], ...] = (
    wire.LinkProofExpired,
    wire.LinkProofInvalid,
    wire.LinkLimitExceeded,
    wire.LinkFailed,
    wire.LinkUnavailable,
)
"""What keeps a link from being made; as the tuples below, for the route that may answer so."""

PROBING: tuple[type[wire.ErrorBody], ...] = (wire.ConnectNotAuthorized, wire.EndpointUnavailable)
CONNECTING: tuple[type[wire.ErrorBody], ...] = (*PROBING, wire.EndpointTimedOut)
PUBLISHING: tuple[type[wire.ErrorBody], ...] = (wire.ActivityProofExpired, wire.ActivityProofInvalid)
NAMING: tuple[type[wire.ErrorBody], ...] = (ServiceNameTaken, ServiceNameLimit, ServiceNameRefused)

_LINK_FAILURES: dict[link_errors.Stage, wire.ErrorBody] = {
    "replay": wire.LinkFailed(reason="replay_persistence_failed"),
    "endpoint": wire.LinkUnavailable(reason="managed_endpoint_provisioning_failed"),
    "link": wire.LinkFailed(reason="link_persistence_failed"),
    "credential": wire.LinkFailed(reason="credential_persistence_failed"),
}


def to_relay_error(error: Exception) -> RelayError | None:
    """`None` for an exception that is no refusal of ours but a failure."""
    answer = _answer(error)
    return None if answer is None else RelayError(answer)


def invalid_dpop() -> RelayError:
    """A DPoP request that is not authorised for another reason than its proof's text."""
    return RelayError(wire.AuthInvalid(reason="invalid_dpop", dpop_failure_reason="invalid_proof"))


def _answer(error: Exception) -> wire.ErrorBody | None:
    match error:
        case ProofRefused(code=code):
            return wire.AuthInvalid(
                reason="invalid_dpop",
                dpop_failure_reason=wire.DPOP_FAILURE_REASONS.get(code, "invalid_proof"),
            )
        case activity_proof.ActivityProofExpired():
            return wire.ActivityProofExpired()
        case activity_proof.ActivityProofInvalid():
            return wire.ActivityProofInvalid()
        case TooManyRequests(retry_after=seconds):
            return RateLimited(retry_after_seconds=seconds)
        case NameRefused(reason="name_taken"):
            return ServiceNameTaken()
        case NameRefused(reason="too_many_names"):
            return ServiceNameLimit()
        case NameRefused(reason="name_reserved" | "name_invalid" as code):
            return ServiceNameRefused(code=code)
        case link_errors.LinkProofExpired():
            return wire.LinkProofExpired()
        case link_errors.LinkProofInvalid(reason=fault):
            return wire.LinkProofInvalid(reason=fault)
        case link_errors.EndpointUnavailable(is_configured=False):
            return wire.LinkUnavailable(reason="managed_endpoint_not_configured")
        case link_errors.EndpointUnavailable():
            return _LINK_FAILURES["endpoint"]
        case link_errors.TooManyTunnels(max_tunnels=most):
            return wire.LinkLimitExceeded(max_tunnels=most)
        case link_errors.EndpointNotRemoved():
            return wire.RelayInternal(reason="upstream_unavailable")
        case link_errors.LinkNotStored(stage=stage):
            return _LINK_FAILURES[stage]
        case RecoveryRefused():
            return wire.AuthInvalid(reason="not_authorized")
        case EndpointNotReachable():
            return wire.RelayInternal(reason="upstream_unavailable")
        case connect_errors.NotAuthorized(reason=None):
            return wire.ConnectNotAuthorized()
        case connect_errors.NotAuthorized(reason=str() as refusal):
            return wire.ConnectNotAuthorized(reason=refusal)
        case connect_errors.EndpointUnavailable(reason=unavailable):
            return wire.EndpointUnavailable(reason=unavailable)
        case connect_errors.EndpointTimedOut():
            return wire.EndpointTimedOut()
    return None

"""Every error T3 Connect declares: tag, status, code and reasons, in one table per server.

A body is a struct whose `_tag` comes first and, where it has one, `traceId` last. Handlers raise
`RelayError(AuthInvalid(reason="invalid_dpop"))`; the outermost layer answers with `.status` and
`.body(trace_id)`. Clients decode the same structs with `decode_relay_error`, `decode_environment_error`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec
from msgspec import UNSET, UnsetType

from doorward.t3_connect.messages.environment import EndpointRuntimeStatus, EnvironmentScope

NO_TRACE = "unavailable"

DpopFailureReason = Literal[
    "time_window", "key_mismatch", "request_mismatch", "token_mismatch", "replay", "invalid_proof"
]
ConnectRefusal = Literal[
    "client_proof_key_thumbprint_missing",
    "environment_link_not_found",
    "endpoint_provider_not_managed",
    "managed_endpoint_allocation_not_found",
    "managed_endpoint_base_domain_not_configured",
    "managed_endpoint_allocation_not_ready",
    "managed_endpoint_hostname_invalid",
    "managed_endpoint_mismatch",
]
LinkProofFault = Literal[
    "invalid_signature_or_scope",
    "descriptor_mismatch",
    "replayed_nonce",
    "challenge_invalid",
    "origin_not_allowed",
    "endpoint_not_secure",
]
EnvironmentInternalReason = Literal[
    "bootstrap_validation_failed",
    "browser_session_issuance_failed",
    "browser_session_cookie_failed",
    "access_token_issuance_failed",
    "websocket_ticket_issuance_failed",
    "pairing_credential_issuance_failed",
    "pairing_links_load_failed",
    "pairing_link_revoke_failed",
    "client_sessions_load_failed",
    "client_session_revoke_failed",
    "connect_security_mode_load_failed",
    "connect_security_mode_update_failed",
    "connect_clients_load_failed",
    "connect_client_approval_failed",
    "connect_client_rejection_failed",
    "connect_client_revoke_failed",
    "internal_error",
]


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="_tag"):
    """Base of all bodies."""

    status: ClassVar[int]


# --- the relay ---------------------------------------------------------------------------------------


class AuthInvalid(ErrorBody, frozen=True, kw_only=True, tag="RelayAuthInvalidError"):
    status = 401
    code: Literal["auth_invalid"] = "auth_invalid"
    reason: Literal["missing_bearer", "invalid_bearer", "invalid_dpop", "not_authorized"]
    dpop_failure_reason: DpopFailureReason | UnsetType = UNSET
    trace_id: str = NO_TRACE


class LinkProofExpired(ErrorBody, frozen=True, kw_only=True, tag="RelayEnvironmentLinkProofExpiredError"):
    status = 401
    code: Literal["environment_link_proof_expired"] = "environment_link_proof_expired"
    trace_id: str = NO_TRACE


class LinkProofInvalid(ErrorBody, frozen=True, kw_only=True, tag="RelayEnvironmentLinkProofInvalidError"):
    status = 400
    code: Literal["environment_link_proof_invalid"] = "environment_link_proof_invalid"
    reason: LinkProofFault
    trace_id: str = NO_TRACE


class ConnectNotAuthorized(
    ErrorBody, frozen=True, kw_only=True, tag="RelayEnvironmentConnectNotAuthorizedError"
):
    status = 403
    code: Literal["environment_connect_not_authorized"] = "environment_connect_not_authorized"
    reason: ConnectRefusal | UnsetType = UNSET
    trace_id: str = NO_TRACE


class EndpointUnavailable(
    ErrorBody, frozen=True, kw_only=True, tag="RelayEnvironmentEndpointUnavailableError"
):
    status = 502
    code: Literal["environment_endpoint_unavailable"] = "environment_endpoint_unavailable"
    reason: Literal["endpoint_request_failed", "endpoint_response_invalid"]
    trace_id: str = NO_TRACE


class EndpointTimedOut(ErrorBody, frozen=True, kw_only=True, tag="RelayEnvironmentEndpointTimedOutError"):
    status = 504
    code: Literal["environment_endpoint_timed_out"] = "environment_endpoint_timed_out"
    trace_id: str = NO_TRACE


class LinkFailed(ErrorBody, frozen=True, kw_only=True, tag="RelayEnvironmentLinkFailedError"):
    status = 500
    code: Literal["environment_link_failed"] = "environment_link_failed"
    reason: Literal[
        "link_persistence_failed",
        "credential_persistence_failed",
        "replay_persistence_failed",
        "internal_error",
    ]
    trace_id: str = NO_TRACE


class LinkUnavailable(ErrorBody, frozen=True, kw_only=True, tag="RelayEnvironmentLinkUnavailableError"):
    status = 503
    code: Literal["environment_link_unavailable"] = "environment_link_unavailable"
    reason: Literal["managed_endpoint_not_configured", "managed_endpoint_provisioning_failed"]
    trace_id: str = NO_TRACE


class LinkLimitExceeded(ErrorBody, frozen=True, kw_only=True, tag="RelayEnvironmentLinkLimitExceededError"):
    status = 403
    code: Literal["environment_link_limit_exceeded"] = "environment_link_limit_exceeded"
    max_tunnels: int
    trace_id: str = NO_TRACE


class ActivityProofExpired(
    ErrorBody, frozen=True, kw_only=True, tag="RelayAgentActivityPublishProofExpiredError"
):
    status = 401
    code: Literal["agent_activity_publish_proof_expired"] = "agent_activity_publish_proof_expired"
    trace_id: str = NO_TRACE


class ActivityProofInvalid(
    ErrorBody, frozen=True, kw_only=True, tag="RelayAgentActivityPublishProofInvalidError"
):
    """The original reports a replayed proof by the first reason too, and so do we."""

    status = 401
    code: Literal["agent_activity_publish_proof_invalid"] = "agent_activity_publish_proof_invalid"
    reason: Literal["invalid_signature_or_payload", "replayed_nonce"] = "invalid_signature_or_payload"
    trace_id: str = NO_TRACE


class RelayInternal(ErrorBody, frozen=True, kw_only=True, tag="RelayInternalError"):
    status = 500
    code: Literal["internal_error"] = "internal_error"
    reason: Literal["database_unavailable", "persistence_failed", "upstream_unavailable", "internal_error"]
    trace_id: str = NO_TRACE


RelayErrorBody = (
    AuthInvalid
    | LinkProofExpired
    | LinkProofInvalid
    | ConnectNotAuthorized
    | EndpointUnavailable
    | EndpointTimedOut
    | LinkFailed
    | LinkUnavailable
    | LinkLimitExceeded
    | ActivityProofExpired
    | ActivityProofInvalid
    | RelayInternal
)


# --- the environment: /api/auth/*, /oauth/token ------------------------------------------------------


class EnvironmentRequestInvalid(ErrorBody, frozen=True, kw_only=True, tag="EnvironmentRequestInvalidError"):
    status = 400
    code: Literal["invalid_request"] = "invalid_request"
    reason: Literal["invalid_scope", "scope_not_granted", "invalid_command"]
    trace_id: str = NO_TRACE


class EnvironmentAuthInvalid(ErrorBody, frozen=True, kw_only=True, tag="EnvironmentAuthInvalidError"):
    status = 401
    code: Literal["auth_invalid"] = "auth_invalid"
    reason: Literal["missing_credential", "invalid_credential"]
    trace_id: str = NO_TRACE


class EnvironmentScopeRequired(ErrorBody, frozen=True, kw_only=True, tag="EnvironmentScopeRequiredError"):
    status = 403
    code: Literal["insufficient_scope"] = "insufficient_scope"
    required_scope: EnvironmentScope
    trace_id: str = NO_TRACE


class EnvironmentOperationForbidden(
    ErrorBody, frozen=True, kw_only=True, tag="EnvironmentOperationForbiddenError"
):
    status = 403
    code: Literal["operation_forbidden"] = "operation_forbidden"
    reason: Literal["current_session_revoke_not_allowed"] = "current_session_revoke_not_allowed"
    trace_id: str = NO_TRACE


class EnvironmentInternal(ErrorBody, frozen=True, kw_only=True, tag="EnvironmentInternalError"):
    status = 500
    code: Literal["internal_error"] = "internal_error"
    reason: EnvironmentInternalReason
    trace_id: str = NO_TRACE


# --- the environment: /api/connect/*, /api/t3-connect/* ----------------------------------------------


class HttpBadRequest(ErrorBody, frozen=True, kw_only=True, tag="EnvironmentHttpBadRequestError"):
    status = 400
    message: str


class HttpUnauthorized(ErrorBody, frozen=True, kw_only=True, tag="EnvironmentHttpUnauthorizedError"):
    status = 401
    message: str


class HttpForbidden(ErrorBody, frozen=True, kw_only=True, tag="EnvironmentHttpForbiddenError"):
    status = 403
    message: str


class HttpConflict(ErrorBody, frozen=True, kw_only=True, tag="EnvironmentHttpConflictError"):
    status = 409
    message: str


class HttpInternalServerError(ErrorBody, frozen=True, kw_only=True, tag="EnvironmentHttpInternalServerError"):
    status = 500
    message: str


class CloudEndpointUnavailable(
    ErrorBody, frozen=True, kw_only=True, tag="EnvironmentCloudEndpointUnavailableError"
):
    status = 503
    message: str
    endpoint_runtime_status: EndpointRuntimeStatus


EnvironmentErrorBody = (
    EnvironmentRequestInvalid
    | EnvironmentAuthInvalid
    | EnvironmentScopeRequired
    | EnvironmentOperationForbidden
    | EnvironmentInternal
    | HttpBadRequest
    | HttpUnauthorized
    | HttpForbidden
    | HttpConflict
    | HttpInternalServerError
    | CloudEndpointUnavailable
)


class ProtocolError(Exception):
    """An answer of the protocol, raised. A reason outside its table is a mistake of ours and raises
    ValueError at once."""

    def __init__(self, answer: ErrorBody) -> None:
        try:
            msgspec.convert(msgspec.to_builtins(answer), type(answer))
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        super().__init__(f"{self.tag_of(answer)} {getattr(answer, 'reason', '')}".rstrip())
        self.answer = answer

    @staticmethod
    def tag_of(answer: ErrorBody) -> str:
        return str(answer.__struct_config__.tag)

    @property
    def tag(self) -> str:
        return self.tag_of(self.answer)

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def reason(self) -> str | None:
        return getattr(self.answer, "reason", None)

    def body(self, trace_id: str = NO_TRACE) -> bytes:
        """The JSON body. `trace_id` (32 hex digits) is left out of the kinds that carry none."""
        if "trace_id" not in self.answer.__struct_fields__:
            return msgspec.json.encode(self.answer)
        return msgspec.json.encode(msgspec.structs.replace(self.answer, trace_id=trace_id or NO_TRACE))


class RelayError(ProtocolError):
    """An answer of the relay."""


class EnvironmentError_(ProtocolError):  # noqa: N801 - Python's own OSError has the plain name
    """An answer of the environment."""


def decode_relay_error(body: bytes) -> RelayErrorBody | None:
    """What the relay said, or None when it is not one of its declared errors."""
    try:
        answer: RelayErrorBody = msgspec.json.decode(body, type=RelayErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return answer


def decode_environment_error(body: bytes) -> EnvironmentErrorBody | None:
    """What the environment said, or None when it is not one of its declared errors."""
    try:
        answer: EnvironmentErrorBody = msgspec.json.decode(body, type=EnvironmentErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return answer


# How the relay tells a client which part of its DPoP proof failed (`code` of DpopError).
DPOP_FAILURE_REASONS: dict[str, DpopFailureReason] = {
    "time_window": "time_window",
    "key_mismatch": "key_mismatch",
    "method_mismatch": "request_mismatch",
    "url_mismatch": "request_mismatch",
    "access_token_hash_mismatch": "token_mismatch",
    "replayed": "replay",
    "missing_proof": "invalid_proof",
    "malformed_proof": "invalid_proof",
    "invalid_signature": "invalid_proof",
    "invalid_proof": "invalid_proof",
}

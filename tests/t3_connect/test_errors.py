"""Error bodies, byte for byte, and nothing outside the table."""

import json

import pytest

from doorward.t3_connect import EnvironmentError_, RelayError
from doorward.t3_connect import errors as e
from doorward.t3_connect.messages import EndpointRuntimeStatus

TRACE = "0123456789abcdef0123456789abcdef"

RELAY = [
    (
        e.AuthInvalid(reason="invalid_bearer"),
        401,
        '{"_tag":"RelayAuthInvalidError","code":"auth_invalid","reason":"invalid_bearer","traceId":"%"}',
    ),
    (
        e.AuthInvalid(reason="invalid_dpop", dpop_failure_reason="replay"),
        401,
        '{"_tag":"RelayAuthInvalidError","code":"auth_invalid","reason":"invalid_dpop","dpopFailureReason":"replay","traceId":"%"}',
    ),
    (
        e.LinkProofExpired(),
        401,
        '{"_tag":"RelayEnvironmentLinkProofExpiredError","code":"environment_link_proof_expired","traceId":"%"}',
    ),
    (
        e.LinkProofInvalid(reason="challenge_invalid"),
        400,
        '{"_tag":"RelayEnvironmentLinkProofInvalidError","code":"environment_link_proof_invalid","reason":"challenge_invalid","traceId":"%"}',
    ),
    (
        e.ActivityProofExpired(),
        401,
        '{"_tag":"RelayAgentActivityPublishProofExpiredError","code":"agent_activity_publish_proof_expired","traceId":"%"}',
    ),
    (
        e.ActivityProofInvalid(),
        401,
        '{"_tag":"RelayAgentActivityPublishProofInvalidError","code":"agent_activity_publish_proof_invalid",'
        '"reason":"invalid_signature_or_payload","traceId":"%"}',
    ),
    (
        e.ConnectNotAuthorized(),
        403,
        '{"_tag":"RelayEnvironmentConnectNotAuthorizedError","code":"environment_connect_not_authorized","traceId":"%"}',
    ),
    (
        e.ConnectNotAuthorized(reason="managed_endpoint_mismatch"),
        403,
        '{"_tag":"RelayEnvironmentConnectNotAuthorizedError","code":"environment_connect_not_authorized",'
        '"reason":"managed_endpoint_mismatch","traceId":"%"}',
    ),
    (
        e.EndpointUnavailable(reason="endpoint_request_failed"),
        502,
        '{"_tag":"RelayEnvironmentEndpointUnavailableError","code":"environment_endpoint_unavailable",'
        '"reason":"endpoint_request_failed","traceId":"%"}',
    ),
    (
        e.EndpointTimedOut(),
        504,
        '{"_tag":"RelayEnvironmentEndpointTimedOutError","code":"environment_endpoint_timed_out","traceId":"%"}',
    ),
    (
        e.LinkFailed(reason="link_persistence_failed"),
        500,
        '{"_tag":"RelayEnvironmentLinkFailedError","code":"environment_link_failed","reason":"link_persistence_failed","traceId":"%"}',
    ),
    (
        e.LinkUnavailable(reason="managed_endpoint_not_configured"),
        503,
        '{"_tag":"RelayEnvironmentLinkUnavailableError","code":"environment_link_unavailable",'
        '"reason":"managed_endpoint_not_configured","traceId":"%"}',
    ),
    (
        e.LinkLimitExceeded(max_tunnels=3),
        403,
        '{"_tag":"RelayEnvironmentLinkLimitExceededError","code":"environment_link_limit_exceeded","maxTunnels":3,"traceId":"%"}',
    ),
    (
        e.RelayInternal(reason="database_unavailable"),
        500,
        '{"_tag":"RelayInternalError","code":"internal_error","reason":"database_unavailable","traceId":"%"}',
    ),
]
ENVIRONMENT = [
    (
        e.EnvironmentRequestInvalid(reason="scope_not_granted"),
        400,
        '{"_tag":"EnvironmentRequestInvalidError","code":"invalid_request","reason":"scope_not_granted","traceId":"%"}',
    ),
    (
        e.EnvironmentAuthInvalid(reason="missing_credential"),
        401,
        '{"_tag":"EnvironmentAuthInvalidError","code":"auth_invalid","reason":"missing_credential","traceId":"%"}',
    ),
    (
        e.EnvironmentScopeRequired(required_scope="access:read"),
        403,
        '{"_tag":"EnvironmentScopeRequiredError","code":"insufficient_scope","requiredScope":"access:read","traceId":"%"}',
    ),
    (
        e.EnvironmentOperationForbidden(),
        403,
        '{"_tag":"EnvironmentOperationForbiddenError","code":"operation_forbidden",'
        '"reason":"current_session_revoke_not_allowed","traceId":"%"}',
    ),
    (
        e.EnvironmentInternal(reason="connect_clients_load_failed"),
        500,
        '{"_tag":"EnvironmentInternalError","code":"internal_error","reason":"connect_clients_load_failed","traceId":"%"}',
    ),
    (e.HttpBadRequest(message="m"), 400, '{"_tag":"EnvironmentHttpBadRequestError","message":"m"}'),
    (e.HttpUnauthorized(message="m"), 401, '{"_tag":"EnvironmentHttpUnauthorizedError","message":"m"}'),
    (e.HttpForbidden(message="m"), 403, '{"_tag":"EnvironmentHttpForbiddenError","message":"m"}'),
    (e.HttpConflict(message="m"), 409, '{"_tag":"EnvironmentHttpConflictError","message":"m"}'),
    (
        e.HttpInternalServerError(message="m"),
        500,
        '{"_tag":"EnvironmentHttpInternalServerError","message":"m"}',
    ),
    (
        e.CloudEndpointUnavailable(
            message="m", endpoint_runtime_status=EndpointRuntimeStatus(status="disabled")
        ),
        503,
        '{"_tag":"EnvironmentCloudEndpointUnavailableError","message":"m","endpointRuntimeStatus":{"status":"disabled"}}',
    ),
]


@pytest.mark.parametrize("answer, status, body", RELAY, ids=lambda value: type(value).__name__)
def test_an_error_of_the_relay_has_its_status_and_bytes(answer, status, body) -> None:
    error = RelayError(answer)
    assert (error.status, error.body(TRACE)) == (status, body.replace("%", TRACE).encode())
    assert error.tag == json.loads(body)["_tag"]
    assert error.reason in (json.loads(body).get("reason"), e.UNSET)
    assert error.body() == error.body("") == body.replace("%", "unavailable").encode()
    assert e.decode_relay_error(error.body()) == answer


@pytest.mark.parametrize("answer, status, body", ENVIRONMENT, ids=lambda value: type(value).__name__)
def test_an_error_of_the_environment_has_its_status_and_bytes(answer, status, body) -> None:
    error = EnvironmentError_(answer)
    assert (error.status, error.body(TRACE)) == (status, body.replace("%", TRACE).encode())
    assert e.decode_environment_error(error.body()) == answer
    assert json.loads(body)["_tag"] in str(error)


def test_every_declared_error_is_listed_above() -> None:
    listed = {type(answer) for answer, _, _ in (*RELAY, *ENVIRONMENT)}
    assert listed == set(e.RelayErrorBody.__args__) | set(e.EnvironmentErrorBody.__args__)


@pytest.mark.parametrize(
    "mistake",
    [
        e.AuthInvalid(reason="other"),  # type: ignore[arg-type]
        e.AuthInvalid(reason="invalid_dpop", dpop_failure_reason="other"),  # type: ignore[arg-type]
        e.ConnectNotAuthorized(reason="other"),  # type: ignore[arg-type]
        e.EnvironmentInternal(reason="other"),  # type: ignore[arg-type]
        e.EnvironmentScopeRequired(required_scope="other"),  # type: ignore[arg-type]
        e.LinkLimitExceeded(max_tunnels="3"),  # type: ignore[arg-type]
    ],
)
def test_a_reason_outside_the_table_is_found_at_once(mistake) -> None:
    with pytest.raises(ValueError):
        RelayError(mistake)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"null", b'{"_tag":"Other"}', b'{"_tag":"RelayAuthInvalidError"}', b"\xff", b"[" * 5000],
)
def test_an_answer_that_is_no_declared_error_is_none(body) -> None:
    assert e.decode_relay_error(body) is None
    assert e.decode_environment_error(body) is None


def test_every_dpop_failure_has_a_wire_reason() -> None:
    wire = {
        "time_window": "time_window",
        "key_mismatch": "key_mismatch",
        "method_mismatch": "request_mismatch",
        "url_mismatch": "request_mismatch",
        "access_token_hash_mismatch": "token_mismatch",
        "replayed": "replay",
    } | dict.fromkeys(
        ("missing_proof", "malformed_proof", "invalid_signature", "invalid_proof"), "invalid_proof"
    )
    assert wire == e.DPOP_FAILURE_REASONS

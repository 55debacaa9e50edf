"""Our errors as the protocol's: one table, asked by the outermost layer of every endpoint."""

import logging
from typing import cast

from doorward.environment.access import NotAllowed
from doorward.environment.link.errors import Kind, LinkRefused
from doorward.environment.link.supervisor import ConnectorRefused
from doorward.environment.pairing.rules import CredentialRefused
from doorward.environment.sessions.authentication import AuthenticationFailed
from doorward.environment.sessions.service import OwnSession, ScopeNotGranted
from doorward.t3_connect import EnvironmentError_, InvalidScope
from doorward.t3_connect.errors import (
    CloudEndpointUnavailable,
    EnvironmentAuthInvalid,
    EnvironmentInternal,
    EnvironmentInternalReason,
    EnvironmentOperationForbidden,
    EnvironmentRequestInvalid,
    EnvironmentScopeRequired,
    ErrorBody,
    HttpBadRequest,
    HttpConflict,
    HttpForbidden,
    HttpInternalServerError,
    HttpUnauthorized,
)
from doorward.t3_connect.messages import EnvironmentScope

log = logging.getLogger(__name__)

ONLY_HERE = "This can only be done on the machine itself."

#: What an endpoint answers when we fail: a reason of /api/auth/*, or a sentence of /api/connect/*.
Failure = EnvironmentInternalReason | str

_BY_KIND: dict[
    Kind, type[HttpBadRequest | HttpUnauthorized | HttpForbidden | HttpConflict | HttpInternalServerError]
]
_BY_KIND = {
    "bad_request": HttpBadRequest,
    "unauthorized": HttpUnauthorized,
    "forbidden": HttpForbidden,
    "conflict": HttpConflict,
    "internal": HttpInternalServerError,
}


def environment_error(error: Exception, *, failure: Failure) -> EnvironmentError_:
    """The declared answer for `error`; anything unforeseen is the endpoint's own `failure`, and is logged."""
    if isinstance(error, EnvironmentError_):
        return error
    answer = _declared(error)
    if answer is None:
        log.error("an endpoint failed", exc_info=error)
        answer = internal(failure)
    return EnvironmentError_(answer)


def internal(failure: Failure) -> ErrorBody:
    if " " in failure:
        return HttpInternalServerError(message=failure)
    return EnvironmentInternal(reason=cast(EnvironmentInternalReason, failure))


def _declared(error: Exception) -> ErrorBody | None:
    match error:
        case AuthenticationFailed():
            log.info("a request was not authenticated: %s", error.detail)
            return EnvironmentAuthInvalid(reason=error.reason)
        case CredentialRefused():
            log.info("a credential was refused: %s", error)
            return EnvironmentAuthInvalid(reason="invalid_credential")
        case NotAllowed() if error.reason == "scope_missing":
            return EnvironmentScopeRequired(required_scope=cast(EnvironmentScope, error.action.scope))
        case NotAllowed():
            return HttpForbidden(message=ONLY_HERE)
        case ScopeNotGranted():
            return EnvironmentRequestInvalid(reason="scope_not_granted")
        case InvalidScope():
            return EnvironmentRequestInvalid(reason="invalid_scope")
        case OwnSession():
            return EnvironmentOperationForbidden()
        case LinkRefused():
            return _BY_KIND[error.kind](message=error.message)
        case ConnectorRefused():
            return CloudEndpointUnavailable(
                message="Managed endpoint runtime could not be started.", endpoint_runtime_status=error.status
            )
        case _:
            return None

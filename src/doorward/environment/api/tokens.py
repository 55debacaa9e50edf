"""`POST /oauth/token`: a pairing credential becomes an access token (connect-environment §2.4, RFC 8693)."""

from doorward.environment.api.doors import only_header, request_url
from doorward.environment.api.framing import Call, Endpoint, Reply
from doorward.environment.sessions.client_details import Presented
from doorward.environment.sessions.service import Caller
from doorward.t3_connect import known, parse_scope
from doorward.t3_connect.messages import (
    EnvironmentTokenRequest,
    TokenExchangeResponse,
)
from doorward.t3_connect.scopes import ENVIRONMENT_SCOPES


async def exchange(call: Call) -> Reply:
    """Scope, then proof, then the credential: what is refused early does not use the credential up.

    Through the tunnel only credentials bound to a device's key are taken: a session from outside always
    has a signed-in account and an accepted key behind it.
    """
    body: EnvironmentTokenRequest = call.body
    environment = call.environment
    scope = known(body.scope)
    requested = None if scope is None else parse_scope(scope, within=ENVIRONMENT_SCOPES)
    proof = only_header(call.request, "dpop")
    thumbprint = None
    if proof is not None:
        thumbprint = await environment.authentication.verify_proof(
            proof, method="POST", url=request_url(call.request)
        )
    issued = await environment.sessions.exchange(
        body.subject_token,
        method="bearer-access-token",
        thumbprint=thumbprint,
        requested_scopes=requested,
        caller=Caller(
            user_agent=call.request.headers.get("user-agent"),
            ip_address=call.address,
            presented=Presented(
                label=known(body.client_label),
                device_type=known(body.client_device_type),
                os=known(body.client_os),
            ),
        ),
        only_bound=call.door == "tunnel",
    )
    session = issued.session
    return Reply(
        TokenExchangeResponse(
            access_token=issued.token,
            issued_token_type="urn:ietf:params:oauth:token-type:access_token",  # noqa: S106 - a type
            token_type="Bearer" if thumbprint is None else "DPoP",
            expires_in=(session.expires_at - session.issued_at) // 1000,
            scope=" ".join(session.scopes),
        )
    )


TOKEN = Endpoint(
    "POST",
    "/oauth/token",
    exchange,
    "access_token_issuance_failed",
    body=EnvironmentTokenRequest,
    is_form=True,
    is_no_store=True,
)

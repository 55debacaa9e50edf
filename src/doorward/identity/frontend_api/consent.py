"""`/v1/me/oauth/consent/{client_id}`: what a person is asked, and their answer as a native form post."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from doorward.identity.answers import json
from doorward.identity.errors import AUTHENTICATION_INVALID, Refused, missing
from doorward.identity.frontend_api import wire
from doorward.identity.frontend_api.call import Call
from doorward.identity.frontend_api.dispatch import Endpoints
from doorward.identity.oauth.authorize import PARAMETERS
from doorward.identity.sessions.signed_in import SignedIn


def routes(endpoints: Endpoints) -> list[Route]:
    return [endpoints.route("/v1/me/oauth/consent/{client_id}", GET=read, POST=decide)]


async def read(call: Call) -> Response:
    query = call.request.query_params
    params = {name: query[name] for name in PARAMETERS if name in query}
    params["client_id"] = call.path("client_id")
    # Clerk's component asks with client, scope and redirect URI only; the rest is checked when the form is posted.
    params.setdefault("response_type", "code")
    params.setdefault("code_challenge", "A" * 43)
    params.setdefault("code_challenge_method", "S256")
    asked = await call.identity.oauth.consent_request(params, await call.signed_in())
    return json(
        wire.ConsentInfo(
            oauth_application_name=asked.client_name,
            client_id=asked.client_id,
            state=params.get("state", ""),
            redirect_domain=asked.redirect_host,
            oauth_application_logo_url=call.views.images.url(asked.client_image_id)
            if asked.client_image_id
            else None,
            scopes=[
                wire.ConsentScope(line.scope, line.description, line.requires_consent)
                for line in asked.scopes
            ],
        )
    )


async def decide(call: Call) -> Response:
    """Only from our own pages: the Origin must be ours, exactly (the cookie alone would ride on a forged form)."""
    call.identity.visits.require_own_origin(call.request)
    signed_in = await _acting(call)
    consented = call.form.get("consented")
    if consented not in ("true", "false"):
        raise Refused(missing("consented"))
    params = {name: call.form[name] for name in PARAMETERS if call.form.get(name)}
    params["client_id"] = call.path("client_id")
    url = await call.identity.oauth.decide_consent(params, signed_in, consented=consented == "true")
    return RedirectResponse(url, 303, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


async def _acting(call: Call) -> SignedIn:
    session_id = call.request.query_params.get("_clerk_session_id")
    signed_in = await call.identity.sessions.current(call.visit, session_id)
    if signed_in is None:
        raise Refused(AUTHENTICATION_INVALID)
    return signed_in

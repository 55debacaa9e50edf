"""`/v1/client/sessions/…`: touch, end, remove, tokens, and proving oneself again."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from doorward.identity.answers import json
from doorward.identity.errors import CLIENT_STATE_INVALID, FORM_PARAM_VALUE_INVALID, Refused
from doorward.identity.frontend_api import wire
from doorward.identity.frontend_api.call import Call
from doorward.identity.frontend_api.dispatch import Endpoints
from doorward.identity.resources.sessions import Token
from doorward.identity.resources.users import Verification

_PREFIX = "/v1/client/sessions/{session_id}"


def routes(endpoints: Endpoints) -> list[Route]:
    return [
        endpoints.route(_PREFIX, GET=read),
        endpoints.route(f"{_PREFIX}/touch", POST=touch),
        endpoints.route(f"{_PREFIX}/end", POST=end),
        endpoints.route(f"{_PREFIX}/remove", POST=remove),
        endpoints.route(f"{_PREFIX}/tokens", POST=token),
        endpoints.route(f"{_PREFIX}/tokens/{{template}}", POST=template_token),
        endpoints.route(f"{_PREFIX}/verify", POST=start_verification),
        endpoints.route(f"{_PREFIX}/verify/attempt_first_factor", POST=attempt_verification),
    ]


async def read(call: Call) -> Response:
    signed_in = await call.identity.sessions.get(call.visit, call.path("session_id"))
    return await call.wrapped(await call.session(signed_in))


async def touch(call: Call) -> Response:
    changed = await call.identity.sessions.touch(
        call.visit, call.path("session_id"), call.choice("active_organization_id")
    )
    response = await call.session_changed(changed)
    await _renew_refresh_token(call, response)
    return response


async def _renew_refresh_token(call: Call, response: Response) -> None:
    """Once a session is chosen, its browser gets what servers of pages renew its token with."""
    visits = call.identity.visits
    if visits.cookie_suffix is not None:
        known = visits.refresh_token(call.request)
        token = await call.identity.refresh_tokens.give(call.path("session_id"), known)
        if token is not None:
            visits.write_refresh_token(response, token)


async def end(call: Call) -> Response:
    return await _finish(call, "ended")


async def remove(call: Call) -> Response:
    return await _finish(call, "removed")


async def _finish(call: Call, status: str) -> Response:
    changed = await call.identity.sessions.end(call.visit, call.path("session_id"), status)
    return await call.changed(call.views.bare_session(changed.value, call.now), changed.client)


async def token(call: Call) -> Response:
    jwt = await call.identity.sessions.token(
        call.visit, call.path("session_id"), call.choice("organization_id")
    )
    return json(Token(jwt))


async def template_token(call: Call) -> Response:
    jwt = await call.identity.sessions.template_token(
        call.visit, call.path("session_id"), call.path("template")
    )
    return json(Token(jwt))


async def start_verification(call: Call) -> Response:
    """Clerk's reverification; the password is the one factor it can ask for here."""
    level = call.param("level") or "first_factor"
    if level not in ("first_factor", "second_factor", "multi_factor"):
        raise Refused(FORM_PARAM_VALUE_INVALID.at("level"))
    signed_in = await call.identity.sessions.get(call.visit, call.path("session_id"))
    return await call.wrapped(
        wire.SessionReverification(
            level=level,
            status="needs_first_factor",
            supported_first_factors=[wire.Factor("password")],
            first_factor_verification=None,
            session=await call.session(signed_in),
        )
    )


async def attempt_verification(call: Call) -> Response:
    if call.require("strategy") != "password":
        raise Refused(CLIENT_STATE_INVALID)
    session_id = call.path("session_id")
    await call.identity.sessions.reauthenticate(call.visit, session_id, password=call.require("password"))
    signed_in = await call.identity.sessions.get(call.visit, session_id)
    verified = Verification("verification_password", "verified", "password", None, None)
    return await call.wrapped(
        wire.SessionReverification(
            level="first_factor",
            status="complete",
            supported_first_factors=[wire.Factor("password")],
            first_factor_verification=verified,
            session=await call.session(signed_in),
        )
    )

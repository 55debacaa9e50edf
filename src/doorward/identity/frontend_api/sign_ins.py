"""`/v1/client/sign_ins…`."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from doorward.identity.clients.service import Changed
from doorward.identity.frontend_api.call import Call
from doorward.identity.frontend_api.dispatch import Endpoints
from doorward.identity.frontend_api.views import sign_in_view
from doorward.identity.sign_in.service import SignIn, SignInFields

_ONE = "/v1/client/sign_ins/{sign_in_id}"


def routes(endpoints: Endpoints) -> list[Route]:
    return [
        endpoints.route("/v1/client/sign_ins", POST=create),
        endpoints.route(_ONE, GET=read),
        endpoints.route(f"{_ONE}/prepare_first_factor", POST=prepare),
        endpoints.route(f"{_ONE}/attempt_first_factor", POST=attempt),
        endpoints.route(f"{_ONE}/reset_password", POST=reset_password),
    ]


async def create(call: Call) -> Response:
    fields = SignInFields(
        identifier=call.param("identifier"),
        strategy=call.param("strategy"),
        password=call.param("password"),
        ticket=call.param("ticket"),
    )
    return await _answer(call, await call.identity.sign_in.start(call.visit, fields))


async def read(call: Call) -> Response:
    sign_in = await call.identity.sign_in.get(call.visit, call.path("sign_in_id"))
    return await call.wrapped(sign_in_view(sign_in, call.views.images, call.now))


async def prepare(call: Call) -> Response:
    changed = await call.identity.sign_in.prepare_first_factor(
        call.visit, call.path("sign_in_id"), call.require("strategy")
    )
    return await _answer(call, changed)


async def attempt(call: Call) -> Response:
    changed = await call.identity.sign_in.attempt_first_factor(
        call.visit,
        call.path("sign_in_id"),
        call.require("strategy"),
        password=call.param("password"),
        code=call.param("code"),
    )
    return await _answer(call, changed)


async def reset_password(call: Call) -> Response:
    changed = await call.identity.sign_in.reset_password(
        call.visit,
        call.path("sign_in_id"),
        call.require("password"),
        sign_out_of_other_sessions=call.flag("sign_out_of_other_sessions", True),
    )
    return await _answer(call, changed)


async def _answer(call: Call, changed: Changed[SignIn]) -> Response:
    return await call.changed(sign_in_view(changed.value, call.views.images, call.now), changed.client)

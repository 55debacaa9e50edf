"""`/v1/client/sign_ups…`."""

from __future__ import annotations

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from doorward.identity.clients.service import Changed
from doorward.identity.errors import (
    FORM_PARAM_FORMAT_INVALID,
    TICKET_INVALID,
    VERIFICATION_STRATEGY_INVALID,
    Refused,
)
from doorward.identity.frontend_api.call import Call
from doorward.identity.frontend_api.dispatch import Endpoints
from doorward.identity.frontend_api.views import sign_up_view
from doorward.identity.sign_up.service import SignUp, SignUpFields

_ONE = "/v1/client/sign_ups/{sign_up_id}"


def routes(endpoints: Endpoints) -> list[Route]:
    return [
        endpoints.route("/v1/client/sign_ups", POST=create),
        endpoints.route(_ONE, GET=read, PATCH=update),
        endpoints.route(f"{_ONE}/prepare_verification", POST=prepare),
        endpoints.route(f"{_ONE}/attempt_verification", POST=attempt),
    ]


async def create(call: Call) -> Response:
    return await _answer(call, await call.identity.sign_up.start(call.visit, _fields(call)))


async def update(call: Call) -> Response:
    changed = await call.identity.sign_up.update(call.visit, call.path("sign_up_id"), _fields(call))
    return await _answer(call, changed)


async def read(call: Call) -> Response:
    sign_up = await call.identity.sign_up.get(call.visit, call.path("sign_up_id"))
    return await call.wrapped(sign_up_view(sign_up, call.now))


async def prepare(call: Call) -> Response:
    changed = await call.identity.sign_up.prepare_verification(
        call.visit, call.path("sign_up_id"), call.require("strategy")
    )
    return await _answer(call, changed)


async def attempt(call: Call) -> Response:
    changed = await call.identity.sign_up.attempt_verification(
        call.visit, call.path("sign_up_id"), call.require("code"), call.require("strategy")
    )
    return await _answer(call, changed)


async def _answer(call: Call, changed: Changed[SignUp]) -> Response:
    return await call.changed(sign_up_view(changed.value, call.now), changed.client)


def _fields(call: Call) -> SignUpFields:
    strategy = call.param("strategy")
    if strategy == "ticket" and call.param("ticket") is None:
        raise Refused(TICKET_INVALID)
    if strategy not in (None, "ticket", "email_code", "password"):
        raise Refused(VERIFICATION_STRATEGY_INVALID.at("strategy"))
    return SignUpFields(
        email_address=call.param("email_address"),
        password=call.param("password"),
        first_name=call.param("first_name"),
        last_name=call.param("last_name"),
        unsafe_metadata=_json_object(call.param("unsafe_metadata"), "unsafe_metadata"),
        ticket=call.param("ticket"),
    )


def _json_object(text: str | None, param: str) -> str | None:
    """The text, once it is known to be a JSON object."""
    if text is None:
        return None
    try:
        value = msgspec.json.decode(text.encode(), type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Refused(
            FORM_PARAM_FORMAT_INVALID.at(param, long_message=f"{param} must be a JSON object.")
        ) from error
    return msgspec.json.encode(value).decode()

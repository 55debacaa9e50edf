"""`/v1/me…`: the signed-in person's account. Every call names its session in `_clerk_session_id`."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from doorward.identity.answers import json
from doorward.identity.frontend_api import wire
from doorward.identity.frontend_api.call import Call
from doorward.identity.frontend_api.dispatch import Endpoints


def routes(endpoints: Endpoints) -> list[Route]:
    email = "/v1/me/email_addresses/{email_id}"
    return [
        endpoints.route("/v1/me", GET=read, PATCH=update, DELETE=delete),
        endpoints.route("/v1/me/change_password", POST=change_password),
        endpoints.route("/v1/me/email_addresses", GET=emails, POST=add_email),
        endpoints.route(email, GET=email_address, DELETE=delete_email),
        endpoints.route(f"{email}/prepare_verification", POST=prepare_email),
        endpoints.route(f"{email}/attempt_verification", POST=attempt_email),
        endpoints.route(
            "/v1/me/profile_image", takes_image=True, POST=set_image, PUT=set_image, DELETE=delete_image
        ),
        endpoints.route("/v1/me/sessions", GET=sessions),
        endpoints.route("/v1/me/sessions/active", GET=sessions),
        endpoints.route("/v1/me/sessions/{session_id}/revoke", POST=revoke_session),
    ]


async def read(call: Call) -> Response:
    signed_in = await call.signed_in()
    return await call.wrapped(await call.user(signed_in.account, signed_in.session.last_active_at))


async def update(call: Call) -> Response:
    signed_in, account = await call.signed_in(), None
    if "first_name" in call.form or "last_name" in call.form:
        user = signed_in.user
        account = await call.identity.accounts.set_names(
            signed_in,
            first_name=call.param("first_name") if "first_name" in call.form else user.first_name,
            last_name=call.param("last_name") if "last_name" in call.form else user.last_name,
        )
    primary = call.param("primary_email_address_id")
    if primary is not None:
        account = await call.identity.accounts.set_primary_email(signed_in, primary)
    return await call.wrapped(await call.user(account or signed_in.account))


async def delete(call: Call) -> Response:
    signed_in = await call.signed_in()
    await call.identity.accounts.delete_account(signed_in)
    change = await call.identity.sessions.client_change(call.visit.client_id)
    return await call.changed(wire.DeletedObject("user", signed_in.user_id), change)


async def change_password(call: Call) -> Response:
    signed_in = await call.signed_in()
    await call.identity.restrictions.spend(
        "factor", call.visit.ip, call.identity.settings.limits.factor_attempt_per_ip
    )
    account = await call.identity.accounts.change_password(
        signed_in,
        call.require("current_password"),
        call.require("new_password"),
        sign_out_of_other_sessions=call.flag("sign_out_of_other_sessions", True),
    )
    return await call.wrapped(await call.user(account))


async def emails(call: Call) -> Response:
    found = await call.identity.accounts.emails(await call.signed_in())
    return await call.wrapped([call.views.email_of(email, call.now) for email in found])


async def add_email(call: Call) -> Response:
    signed_in = await call.signed_in()
    email = await call.identity.accounts.add_email(signed_in, call.require("email_address"))
    return await call.wrapped(call.views.email_of(email, call.now))


async def email_address(call: Call) -> Response:
    email = await call.identity.accounts.email(await call.signed_in(), call.path("email_id"))
    return await call.wrapped(call.views.email_of(email, call.now))


async def delete_email(call: Call) -> Response:
    await call.identity.accounts.delete_email(await call.signed_in(), call.path("email_id"))
    return await call.wrapped(wire.DeletedObject("email_address", call.path("email_id")))


async def prepare_email(call: Call) -> Response:
    email = await call.identity.accounts.prepare_email(
        await call.signed_in(), call.path("email_id"), call.require("strategy")
    )
    return await call.wrapped(call.views.email_of(email, call.now))


async def attempt_email(call: Call) -> Response:
    signed_in = await call.signed_in()
    await call.identity.restrictions.spend(
        "factor", call.visit.ip, call.identity.settings.limits.factor_attempt_per_ip
    )
    email = await call.identity.accounts.attempt_email(signed_in, call.path("email_id"), call.require("code"))
    return await call.wrapped(call.views.email_of(email, call.now))


async def set_image(call: Call) -> Response:
    signed_in = await call.signed_in()
    account = await call.identity.administration.set_image(
        signed_in.user_id, await call.upload(), actor=signed_in.user_id
    )
    image_id = account.user.image_id or ""
    return await call.wrapped(wire.Image(image_id, image_id, call.views.image_url(account.user)))


async def delete_image(call: Call) -> Response:
    signed_in = await call.signed_in()
    await call.identity.administration.delete_image(signed_in.user_id, actor=signed_in.user_id)
    return await call.wrapped(wire.DeletedObject("image", signed_in.user.image_id or ""))


async def sessions(call: Call) -> Response:
    """Bare, unlike the rest: "Active devices" reads an array."""
    signed_in = await call.signed_in()
    found = await call.identity.sessions.list_of_user(signed_in.user_id)
    return json([call.views.bare_session(session, call.now) for session in found])


async def revoke_session(call: Call) -> Response:
    session = await call.identity.sessions.revoke(await call.signed_in(), call.path("session_id"))
    return await call.changed(
        call.views.bare_session(session, call.now),
        await call.identity.sessions.client_change(call.visit.client_id),
    )

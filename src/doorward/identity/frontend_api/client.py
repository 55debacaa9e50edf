"""`/v1/environment`, `/v1/client` and the small routes around them."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from doorward.identity.answers import json
from doorward.identity.clients import store
from doorward.identity.clients.service import ClientChange
from doorward.identity.errors import Refused, not_found
from doorward.identity.frontend_api import wire
from doorward.identity.frontend_api.call import Call
from doorward.identity.frontend_api.dispatch import Endpoints
from doorward.identity.frontend_api.environment import environment_document
from doorward.identity.identifiers import new_id

_AVATAR = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img" aria-label="Person">'
    '<rect width="64" height="64" rx="32" fill="#c9d3df"/><circle cx="32" cy="25" r="11" fill="#5c6b7c"/>'
    '<path d="M11 57a21 17 0 0 1 42 0z" fill="#5c6b7c"/></svg>'
)


def routes(endpoints: Endpoints) -> list[Route]:
    return [
        endpoints.route("/v1/environment", GET=environment, PATCH=environment),
        endpoints.route("/v1/client", GET=read, POST=create, PUT=create, DELETE=delete),
        endpoints.route("/v1/client/sessions", DELETE=sign_out),
        endpoints.route("/v1/client/verify", POST=captcha),
        endpoints.route("/v1/dev_browser", POST=dev_browser),
        endpoints.route("/v1/dev_browser/init", GET=nothing),
        endpoints.route("/v1/dev_browser/set_first_party_cookie", POST=nothing),
        endpoints.route("/v1/health", GET=health),
        endpoints.route("/v1/images/avatar.svg", GET=avatar),
        endpoints.route("/v1/images/{image_id}", GET=image),
    ]


async def environment(call: Call) -> Response:
    return Response(
        environment_document(call.identity.settings, call.identity.instance),
        headers={"Cache-Control": "public, max-age=10"},
        media_type="application/json",
    )


async def read(call: Call) -> Response:
    """Always 200: an error here would leave Clerk's SDK unloaded."""
    return json(wire.Wrapped(await call.client(call.visit.client_id), None))


async def create(call: Call) -> Response:
    """The browser's client, made if there is none. Idempotent."""
    if call.visit.client_id is not None:
        change = await call.identity.sessions.client_change(call.visit.client_id)
    else:
        limit = call.identity.settings.limits.client_per_ip
        await call.identity.restrictions.spend("client", call.visit.ip, limit)
        fresh = call.identity.clients.fresh(call.now)
        await call.identity.database.write(lambda tx: store.insert(tx, fresh.record))
        change = ClientChange(fresh.record.id, token=fresh.token)
    return await call.changed(await call.client(change.client_id), change)


async def delete(call: Call) -> Response:
    changed = await call.identity.sessions.sign_out(call.visit, forget_client=True)
    return await call.changed(None, changed.client)


async def sign_out(call: Call) -> Response:
    """The SDK's `signOut()`: the client and its cookie survive."""
    changed = await call.identity.sessions.sign_out(call.visit)
    return await call.changed(await call.client(changed.client.client_id), changed.client)


async def captcha(call: Call) -> Response:
    return await call.wrapped(await call.client(call.visit.client_id))


async def dev_browser(call: Call) -> Response:
    """A name for a development browser. Our instances know browsers by their cookie alone, so it opens nothing."""
    token, now = new_id("dvb"), call.now
    return json(wire.DevBrowser(token, call.identity.signing_keys.key_set.keys[0].kid, token, now, now))


async def nothing(call: Call) -> Response:
    return json({})


async def health(call: Call) -> Response:
    return json(wire.Health())


async def image(call: Call) -> Response:
    """A picture under an id nobody guesses; the bytes were found to be an image when they came."""
    found = await call.identity.administration.image(call.path("image_id"))
    if found is None:
        raise Refused(not_found("Image not found"))
    media_type, content = found
    return Response(
        content,
        headers={
            "Cache-Control": "public, max-age=31536000, immutable",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
        },
        media_type=media_type,
    )


async def avatar(call: Call) -> Response:
    """One picture for everybody: it tells nothing about who exists."""
    return Response(
        _AVATAR,
        headers={
            "Cache-Control": "public, max-age=86400",
            "Content-Security-Policy": "default-src 'none'",
            "X-Content-Type-Options": "nosniff",
        },
        media_type="image/svg+xml",
    )

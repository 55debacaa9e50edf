"""`/oauth_applications`, and the check of opaque access tokens with and without version."""

from __future__ import annotations

from typing import Any

import msgspec

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.ordering import slice_of
from doorward.identity.backend_api.wire import oauth_applications as wire
from doorward.identity.backend_api.wire.shapes import Listed, NoBody, NoQuery, Upload
from doorward.identity.errors import BAD_REQUEST, Refused
from doorward.identity.oauth import clients, rules
from doorward.identity.oauth.applications import ApplicationChange, ApplicationWish, MadeApplication
from doorward.identity.oauth.clients import Application
from doorward.identity.resources.deleted import Deleted

_OPAQUE: wire.AccessTokenFormat = "opaque"


async def list_oauth_applications(
    call: Call[wire.ListOAuthApplications, NoBody],
) -> Listed[wire.OAuthApplication]:
    """OAuth applications, oldest first."""
    query = call.query
    applications, total = await call.identity.oauth_applications.page(
        query.name_query or None, slice_of(query, clients.ORDERS)
    )
    return Listed([_application(call, application) for application in applications], total)


async def create_oauth_application(
    call: Call[NoQuery, wire.CreateOAuthApplication],
) -> wire.OAuthApplicationWithSecret:
    """Make an OAuth application; its secret is in the answer, unless it is public."""
    body = call.body
    wish = ApplicationWish(
        name=body.name,
        redirect_uris=_redirect_uris(body.redirect_uris, body.callback_url) or (),
        scopes=_scopes(body.scopes) or rules.DEFAULT_SCOPE,
        is_public=bool(body.public),
        is_pkce_required=body.pkce_required,
        is_consent_asked=body.consent_screen_enabled is not False,
        has_opaque_tokens=_is_opaque(body.access_token_format) or False,
    )
    return _made(call, await call.identity.oauth_applications.create(wish, actor=call.caller.id))


async def get_oauth_application(call: Call[NoQuery, NoBody]) -> wire.OAuthApplication:
    """One OAuth application."""
    return _application(call, await call.identity.oauth_applications.get(_id(call)))


async def update_oauth_application(
    call: Call[NoQuery, wire.UpdateOAuthApplication],
) -> wire.OAuthApplication:
    """Change an OAuth application."""
    body = call.body
    change = ApplicationChange(
        name=body.name,
        redirect_uris=_redirect_uris(body.redirect_uris, body.callback_url),
        scopes=_scopes(body.scopes),
        is_public=body.public,
        is_pkce_required=body.pkce_required,
        is_consent_asked=body.consent_screen_enabled,
        has_opaque_tokens=_is_opaque(body.access_token_format),
    )
    changed = await call.identity.oauth_applications.update(_id(call), change, actor=call.caller.id)
    return _application(call, changed)


async def upload_oauth_application_logo(call: Call[NoQuery, Upload]) -> wire.OAuthApplication:
    """Give an OAuth application a logo: JPEG, PNG, GIF or WebP."""
    changed = await call.identity.oauth_applications.set_logo(_id(call), call.body.file, actor=call.caller.id)
    return _application(call, changed)


async def delete_oauth_application(call: Call[NoQuery, NoBody]) -> Deleted:
    """Delete an OAuth application and everything people granted it."""
    await call.identity.oauth_applications.delete(_id(call), actor=call.caller.id)
    return Deleted("oauth_application", _id(call))


async def rotate_oauth_application_secret(call: Call[NoQuery, NoBody]) -> wire.OAuthApplicationWithSecret:
    """Replace an OAuth application's secret; the old one ends at once."""
    return _made(call, await call.identity.oauth_applications.rotate_secret(_id(call), actor=call.caller.id))


async def revoke_oauth_application_token(call: Call[NoQuery, wire.RevokeOAuthToken]) -> None:
    """Revoke what a person granted, by one of its tokens."""
    await call.identity.oauth_applications.revoke_token(_id(call), call.body.token, actor=call.caller.id)


async def verify_oauth_access_token(
    call: Call[NoQuery, wire.VerifyOAuthAccessToken],
) -> wire.OAuthAccessToken:
    """Whose an opaque OAuth access token is, if it counts."""
    value = call.body.access_token or call.body.secret
    if not value:
        raise Refused(BAD_REQUEST.at(long_message="Invalid 'body.access_token': it is missing."))
    living = await call.identity.inspection.verify_opaque(value)
    return wire.OAuthAccessToken(
        id=living.token.jti,
        client_id=living.grant.client_id,
        subject=living.grant.user_id,
        scopes=living.token.scope.split(),
        expiration=living.token.expire_at,
        created_at=living.token.created_at,
        updated_at=living.token.created_at,
    )


def _id(call: Call[Any, Any]) -> str:
    return call.path["oauth_application_id"]


def _redirect_uris(uris: list[str] | None, callback_url: str | None) -> tuple[str, ...] | None:
    """What was given, in both ways; None when nothing was."""
    if uris is None and callback_url is None:
        return None
    return tuple(dict.fromkeys([*(uris or ()), *([callback_url] if callback_url else ())]))


def _is_opaque(access_token_format: wire.AccessTokenFormat | None) -> bool | None:
    return None if access_token_format is None else access_token_format == _OPAQUE


def _scopes(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(dict.fromkeys(text.split()))


def _application(call: Call[Any, Any], application: Application) -> wire.OAuthApplication:
    return wire.OAuthApplication(**_members(call, application))


def _made(call: Call[Any, Any], made: MadeApplication) -> wire.OAuthApplicationWithSecret:
    secret = msgspec.UNSET if made.client_secret is None else made.client_secret
    return wire.OAuthApplicationWithSecret(**_members(call, made.application), client_secret=secret)


def _members(call: Call[Any, Any], application: Application) -> dict[str, Any]:
    """What every form of an application tells."""
    client, origin = application.client, call.identity.settings.origin
    image_url = call.identity.views.images.url(client.image_id) if client.image_id else None
    return {
        "id": application.id,
        "instance_id": call.identity.instance_id,
        "name": client.name,
        "client_id": client.client_id,
        "client_image_url": image_url,
        "consent_screen_enabled": client.is_consent_asked,
        "pkce_required": client.is_pkce_required,
        "public": client.is_public,
        "scopes": " ".join(client.scopes),
        "redirect_uris": list(client.redirect_uris),
        "callback_url": client.redirect_uris[0] if client.redirect_uris else "",
        "authorize_url": f"{origin}/oauth/authorize",
        "token_fetch_url": f"{origin}/oauth/token",
        "user_info_url": f"{origin}/oauth/userinfo",
        "discovery_url": f"{origin}/.well-known/openid-configuration",
        "token_introspection_url": f"{origin}/oauth/token_info",
        "access_token_format": _OPAQUE if client.has_opaque_tokens else "jwt",
        "created_at": application.created_at,
        "updated_at": application.updated_at,
    }


_ALL, _ONE = "/oauth_applications", "/oauth_applications/{oauth_application_id}"
OPERATIONS = (
    operation(
        "GET",
        _ALL,
        list_oauth_applications,
        query=wire.ListOAuthApplications,
        answer=Listed[wire.OAuthApplication],
    ),
    operation(
        "POST",
        _ALL,
        create_oauth_application,
        body=wire.CreateOAuthApplication,
        answer=wire.OAuthApplicationWithSecret,
    ),
    operation("GET", _ONE, get_oauth_application, answer=wire.OAuthApplication),
    operation(
        "PATCH",
        _ONE,
        update_oauth_application,
        body=wire.UpdateOAuthApplication,
        answer=wire.OAuthApplication,
    ),
    operation(
        "PUT",
        f"{_ONE}/logo",
        upload_oauth_application_logo,
        body=Upload,
        answer=wire.OAuthApplication,
    ),
    operation("DELETE", _ONE, delete_oauth_application, answer=Deleted),
    operation(
        "POST",
        f"{_ONE}/rotate_secret",
        rotate_oauth_application_secret,
        answer=wire.OAuthApplicationWithSecret,
    ),
    operation(
        "POST",
        f"{_ONE}/revoke_token",
        revoke_oauth_application_token,
        body=wire.RevokeOAuthToken,
        answer=None,
    ),
    operation(
        "POST",
        f"{_ALL}/access_tokens/verify",
        verify_oauth_access_token,
        body=wire.VerifyOAuthAccessToken,
        answer=wire.OAuthAccessToken,
        is_versionless=True,
    ),
)

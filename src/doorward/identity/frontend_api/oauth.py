"""`/oauth/…`. The token endpoints answer any origin without credentials; authorize is a page a browser goes to."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from doorward.identity.answers import error_response
from doorward.identity.errors import DYNAMIC_REGISTRATION_OFF, Refused
from doorward.identity.frontend_api.call import read_form
from doorward.identity.oauth.authorize import PARAMETER_REPEATED, PARAMETERS, NeedsConsent, NeedsSignIn
from doorward.identity.oauth.errors import OAuthError
from doorward.identity.oauth.inspection import UserInfo

if TYPE_CHECKING:
    from doorward.identity.services import Identity

_log = logging.getLogger("doorward.identity.oauth")

Form = dict[str, str]
ErrorPage = Callable[["Identity", Request, Refused], Response]


class TokenResponse(msgspec.Struct, omit_defaults=True):
    """RFC 6749 §5.1."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    refresh_token: str | None = None
    id_token: str | None = None


class OAuthErrorBody(msgspec.Struct):
    """RFC 6749 §5.2."""

    error: str
    error_description: str


class DeviceAuthorizationResponse(msgspec.Struct):
    """RFC 8628 §3.2."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class UserInfoResponse(msgspec.Struct, omit_defaults=True):
    """Clerk's userinfo, by scope."""

    object: str
    instance_id: str
    user_id: str
    sub: str
    email: str | msgspec.UnsetType = msgspec.UNSET
    email_verified: bool | msgspec.UnsetType = msgspec.UNSET
    family_name: str | msgspec.UnsetType | None = msgspec.UNSET
    given_name: str | msgspec.UnsetType | None = msgspec.UNSET
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    username: str | msgspec.UnsetType | None = msgspec.UNSET
    preferred_username: str | msgspec.UnsetType | None = msgspec.UNSET
    picture: str | msgspec.UnsetType = msgspec.UNSET


class TokenInfoResponse(msgspec.Struct, omit_defaults=True):
    """RFC 7662 §2.2."""

    active: bool
    client_id: str | None = None
    iat: int | None = None
    exp: int | None = None
    scope: str | None = None
    sub: str | None = None


class OAuthRoutes:
    def __init__(self, identity: Identity, error_page: ErrorPage) -> None:
        self._identity = identity
        self._error_page = error_page

    def routes(self) -> list[Route]:
        return [
            Route("/oauth/authorize", self.authorize, methods=["GET", "POST"]),
            Route("/oauth/token", self._open(self.token), methods=["POST", "OPTIONS"]),
            Route(
                "/oauth/device_authorization",
                self._open(self.device_authorization),
                methods=["POST", "OPTIONS"],
            ),
            Route("/oauth/token/revoke", self._open(self.revoke), methods=["POST", "OPTIONS"]),
            Route("/oauth/token_info", self._open(self.token_info), methods=["POST", "OPTIONS"]),
            Route("/oauth/register", self.register, methods=["POST", "OPTIONS"]),
            Route("/oauth/userinfo", self.userinfo, methods=["GET", "POST", "OPTIONS"]),
        ]

    async def authorize(self, request: Request) -> Response:
        identity = self._identity
        try:
            pairs = request.query_params.multi_items()
            if request.method == "POST":
                pairs += await read_form(request)
            params = _once(pairs)
            if params is None:
                raise Refused(PARAMETER_REPEATED)
            # A cross-site form may start a flow (OpenID Connect Core §3.1.2.1): the visit's Origin is not judged here.
            visit = await identity.visits.of_navigation(request)
            signed_in = await identity.sessions.current(visit)
            outcome = await identity.oauth.authorize(params, signed_in)
        except Refused as refused:
            if "text/html" in request.headers.get("accept", ""):
                return self._error_page(identity, request, refused)
            return error_response(refused)
        asked = urlencode({name: params[name] for name in PARAMETERS if name in params})
        origin = identity.settings.origin
        if isinstance(outcome, NeedsConsent):
            return _see_other(f"{origin}/oauth-consent?{asked}")
        if isinstance(outcome, NeedsSignIn):
            page = "/sign-in/confirm" if outcome.is_fresh_proof_needed else "/sign-in"
            full = f"{origin}/oauth/authorize?{request.url.query if request.method == 'GET' else asked}"
            return _see_other(f"{origin}{page}?redirect_url={quote(full, safe='')}")
        return _see_other(outcome.url)

    async def token(self, request: Request, form: Form) -> Response:
        identity = self._identity
        limit = identity.settings.limits.token_per_ip
        await identity.restrictions.spend("token", identity.visits.ip_of(request), limit)
        tokens = await identity.tokens.exchange(form, request.headers.get("authorization"))
        return _json(
            TokenResponse(
                tokens.access_token,
                "Bearer",
                tokens.expires_in,
                tokens.scope,
                tokens.refresh_token,
                tokens.id_token,
            )
        )

    async def device_authorization(self, request: Request, form: Form) -> Response:
        identity = self._identity
        client = await identity.tokens.authenticate_client(form, request.headers.get("authorization"))
        started = await identity.devices.start(
            client,
            form,
            ip=identity.visits.ip_of(request),
            user_agent=request.headers.get("user-agent", "")[:400],
        )
        return _json(
            DeviceAuthorizationResponse(
                started.device_code,
                started.user_code,
                started.verification_uri,
                started.verification_uri_complete,
                started.expires_in,
                started.interval,
            )
        )

    async def revoke(self, request: Request, form: Form) -> Response:
        client = await self._identity.tokens.authenticate_client(form, request.headers.get("authorization"))
        if not form.get("token"):
            raise OAuthError("invalid_request", "token is missing")
        await self._identity.inspection.revoke(client, form["token"])
        return Response(status_code=200, headers=_NO_STORE)

    async def token_info(self, request: Request, form: Form) -> Response:
        client = await self._identity.tokens.authenticate_client(form, request.headers.get("authorization"))
        info = await self._identity.inspection.token_info(client, form.get("token", ""))
        if info is None:
            return _json(TokenInfoResponse(active=False))
        return _json(TokenInfoResponse(True, info.client_id, info.iat, info.exp, info.scope, info.sub))

    async def register(self, request: Request) -> Response:
        """RFC 7591's endpoint, which no discovery document names: whoever tries it hears why."""
        if request.method == "OPTIONS":
            return _preflight()
        response = error_response(Refused(DYNAMIC_REGISTRATION_OFF))
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    async def userinfo(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return _preflight()
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            info = await self._identity.inspection.user_info(
                token.strip() if scheme.lower() == "bearer" else None
            )
        except Refused as refused:
            response = error_response(refused)
            if refused.status == 401:
                response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
        else:
            response = _json(self._user_info(info))
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    def _user_info(self, info: UserInfo) -> UserInfoResponse:
        user, email = info.account.user, info.account.primary_email
        body = UserInfoResponse(
            "oauth_user_info", self._identity.signing_keys.key_set.keys[0].kid, user.id, user.id
        )
        if "email" in info.scopes:
            body.email, body.email_verified = email.address, email.verified_at is not None
        if "profile" in info.scopes:
            body.family_name, body.given_name = user.last_name, user.first_name
            body.name = " ".join(part for part in (user.first_name, user.last_name) if part) or None
            body.username = body.preferred_username = None
            body.picture = self._identity.views.image_url(user)
        return body

    def _open(
        self, handler: Callable[[Request, Form], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint for programs: any origin, no cookies, RFC 6749's errors."""

        async def endpoint(request: Request) -> Response:
            if request.method == "OPTIONS":
                return _preflight()
            try:
                form = _once(await read_form(request))
                if form is None:
                    raise OAuthError("invalid_request", "A parameter appears more than once")
                response = await handler(request, form)
            except OAuthError as error:
                response = _error(error)
            except Refused as refused:
                code = "temporarily_unavailable" if refused.status in (429, 503) else "invalid_request"
                response = _error(OAuthError(code, refused.errors[0].text, retry_after=refused.retry_after))
            except Exception:
                _log.exception("an OAuth endpoint failed")
                response = _error(OAuthError("server_error", "Something went wrong here"))
            response.headers["Access-Control-Allow-Origin"] = "*"
            return response

        return endpoint


_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def _once(pairs: list[tuple[str, str]]) -> Form | None:
    """The parameters, empty ones left out; None when one is repeated (RFC 6749 §3.1)."""
    given = [(name, value) for name, value in pairs if value]
    form = dict(given)
    return form if len(form) == len(given) else None


def _json(body: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, headers=_NO_STORE, media_type="application/json")


def _error(error: OAuthError) -> Response:
    response = _json(OAuthErrorBody(error.code, error.description), error.status)
    if error.code == "invalid_client":
        response.headers["WWW-Authenticate"] = 'Basic realm="oauth"'
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _preflight() -> Response:
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
            "Access-Control-Allow-Headers": "authorization, content-type",
            "Access-Control-Max-Age": "7200",
        },
    )


def _see_other(url: str) -> Response:
    return RedirectResponse(url, 303, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})

"""Judging a request, step by step as `@clerk/backend`'s `authenticateRequest` does, in its words.

`decide` chooses by what is accepted and what the request carries:

    Authorization, a machine's token   verified as what it is, if that kind is accepted
    Authorization, any other token     verified as a session's
    no Authorization, a machine due    signed out, "No token in header"
    no Authorization, a person due     the browser's cookies: signed in, out, or a handshake

Satellite domains are left out.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

from doorward.verify import handshake as handshakes
from doorward.verify import reasons
from doorward.verify.effects import ApiAnswer, Flow, KeysFor
from doorward.verify.errors import HandshakeFailed, KeySetUnavailable, TokenRefused
from doorward.verify.jwt import (
    M2M_CATEGORY,
    SESSION_TYPES,
    ClaimRules,
    Keys,
    UnverifiedJwt,
    check_claims,
    check_signature,
    read_jwt,
)
from doorward.verify.machine_tokens import BearerToken, MachineTokenRefused, verify_machine_token
from doorward.verify.requests import AuthRequest, Url, read_url
from doorward.verify.results import TokenType
from doorward.verify.session_cookies import DEV_BROWSER, SessionCookies
from doorward.verify.settings import Accepted, PublishableKey, Settings
from doorward.verify.state import (
    Headers,
    RequestState,
    handshake,
    signed_in_machine,
    signed_in_session,
    signed_out,
)

_DAY_SECONDS = 86_400
_CLOCK_REASONS = (reasons.TOKEN_EXPIRED, reasons.TOKEN_NOT_ACTIVE_YET, reasons.TOKEN_IAT_IN_THE_FUTURE)
# What a handshake's answer may set while a browser of another origin waits for it.
_RESOLVED: Headers = (("access-control-allow-origin", "null"), ("access-control-allow-credentials", "true"))


def decide(request: AuthRequest, settings: Settings, accepts: Accepted, now: float) -> Flow[RequestState]:
    """The verdict on `request`. `now` in seconds. Raises HandshakeFailed."""
    text = bearer_text(request.header("authorization"))
    bearer = BearerToken(text) if text else None
    if isinstance(accepts, frozenset):
        kind: TokenType = (bearer.machine_type if bearer else None) or "session_token"
        if kind not in accepts:
            return signed_out(None, reasons.TOKEN_TYPE_MISMATCH)
    if bearer is not None:
        return (yield from _judge_bearer(bearer, request, settings, accepts, now))
    if accepts in ("oauth_token", "api_key", "m2m_token"):
        return signed_out(accepts, reasons.NO_TOKEN_IN_HEADER)
    if settings.publishable_key is None:  # without it no cookie can be told to be this instance's
        return signed_out("session_token", reasons.SESSION_TOKEN_AND_UAT_MISSING)
    return (yield from _Page(request, settings, settings.publishable_key, now).judge())


def takes_sessions(accepts: Accepted) -> bool:
    return accepts in ("session_token", "any") or (
        isinstance(accepts, frozenset) and "session_token" in accepts
    )


def bearer_text(header: str | None) -> str | None:
    """The token of an `Authorization` header: after `Bearer`, or the whole of it when there is no scheme."""
    if not header:
        return None
    # Nearly every header: looking for a space costs half of what splitting does.
    if header.startswith("Bearer ") and header.find(" ", 7) < 0 and len(header) > 7:
        return header[7:]
    scheme, *rest = header.split(" ")
    if not rest or not rest[0]:
        return scheme
    return rest[0] if scheme == "Bearer" else None


def verify_session(
    jwt: UnverifiedJwt, settings: Settings, rules: ClaimRules, now: float
) -> Flow[dict[str, Any]]:
    """The claims of a session's JWT. Raises TokenRefused, KeySetUnavailable."""
    _check_category(jwt)
    if not settings.can_resolve_keys:
        raise TokenRefused(
            reasons.JWK_FAILED_TO_RESOLVE,
            "Failed to resolve JWK during verification.",
            action=reasons.SET_JWT_KEY,
        )
    keys = yield KeysFor(jwt.header.get("kid"))
    return check_session(jwt, keys, rules, now)


def check_session(jwt: UnverifiedJwt, keys: Keys, rules: ClaimRules, now: float) -> dict[str, Any]:
    """The claims of a session's JWT by keys at hand. Raises TokenRefused."""
    _check_category(jwt)
    check_signature(jwt, keys, types=SESSION_TYPES)
    # An ID token has the same type, the same key, and lives for a day: every OAuth client holds one.
    if "at_hash" in jwt.claims:
        raise TokenRefused(reasons.TOKEN_INVALID, "An ID token is no session token.")
    check_claims(jwt.claims, rules, now=now)
    return jwt.claims


def _check_category(jwt: UnverifiedJwt) -> None:
    header = jwt.header
    if "cat" in header and header["cat"] == M2M_CATEGORY:
        raise TokenRefused(
            reasons.TOKEN_INVALID, "Invalid session token category.", action=reasons.ENSURE_OUR_JWT
        )


def _judge_bearer(
    bearer: BearerToken, request: AuthRequest, settings: Settings, accepts: Accepted, now: float
) -> Flow[RequestState]:
    kind = bearer.machine_type
    takes_machines = accepts == "any" or isinstance(accepts, frozenset)
    if takes_machines or accepts == "session_token":
        # An opaque machine token where only sessions are taken is refused by its form, as a broken JWT.
        if kind is not None and (takes_machines or bearer.jwt is not None):
            if not takes_machines:
                return signed_out("session_token", reasons.TOKEN_TYPE_MISMATCH)
            return (yield from _judge_machine(bearer, settings, now))
        if not bearer.is_of_session_category:
            return signed_out("session_token", reasons.TOKEN_TYPE_MISMATCH)
        return (yield from _judge_session_bearer(bearer, request, settings, now))
    if kind != accepts:
        return signed_out(cast(TokenType, accepts), reasons.TOKEN_TYPE_MISMATCH)
    return (yield from _judge_machine(bearer, settings, now))


def _judge_machine(bearer: BearerToken, settings: Settings, now: float) -> Flow[RequestState]:
    try:
        return signed_in_machine((yield from verify_machine_token(bearer, settings, now)))
    except MachineTokenRefused as refusal:
        return signed_out(refusal.token_type, refusal.code, refusal.full_message())


def _judge_session_bearer(
    bearer: BearerToken, request: AuthRequest, settings: Settings, now: float
) -> Flow[RequestState]:
    try:
        if bearer.jwt is None:
            raise bearer.refusal or TokenRefused(reasons.TOKEN_INVALID, "Invalid JWT form.")
        claims = yield from verify_session(bearer.jwt, settings, settings.rules, now)
    except (TokenRefused, KeySetUnavailable) as error:
        refusal = _as_refusal(error)
        if settings.publishable_key is None:
            return signed_out(
                "session_token", refusal.reason, refusal.full_message("header"), (), refusal.skew_seconds
            )
        page = _Page(request, settings, settings.publishable_key, now, header_token=bearer.text)
        return (yield from page.after_refusal(refusal, "header"))
    return signed_in_session(bearer.text, claims)


class _Page:
    """A request judged by its browser's cookies."""

    def __init__(
        self,
        request: AuthRequest,
        settings: Settings,
        key: PublishableKey,
        now: float,
        header_token: str | None = None,
    ) -> None:
        self.request, self.settings, self.key, self.now = request, settings, key, now
        self.url: Url = request.public_url()
        self.cookies = SessionCookies(request.cookies(), key, now=now)
        self.dev_browser = self.url.parameter(DEV_BROWSER) or self.cookies.dev_browser
        self.header_token = header_token
        self.redirects = handshakes.redirects_so_far(self.cookies)

    def judge(self) -> Flow[RequestState]:
        resolved = yield from self._resolve_handshake()
        if resolved is not None:
            return resolved
        if self.key.is_development:
            pending = self._development_detour()
            if pending is not None:
                return pending
        token, uat = self.cookies.session, self.cookies.client_uat
        if not token and not uat:
            return signed_out("session_token", reasons.SESSION_TOKEN_AND_UAT_MISSING)
        if not uat:
            return self.handshake_or_out(reasons.SESSION_TOKEN_WITHOUT_CLIENT_UAT)
        if not token:
            return self.handshake_or_out(reasons.CLIENT_UAT_WITHOUT_SESSION_TOKEN)
        return (yield from self._judge_token(token, uat))

    def _judge_token(self, token: str, uat: int) -> Flow[RequestState]:
        bearer = BearerToken(token)
        if bearer.jwt is None:
            refusal = bearer.refusal or TokenRefused(reasons.TOKEN_INVALID, "Invalid JWT form.")
            return (yield from self.after_refusal(refusal, "cookie"))
        if bearer.machine_type is not None or not bearer.is_of_session_category:
            return signed_out("session_token", reasons.TOKEN_TYPE_MISMATCH)
        issued = bearer.jwt.claims.get("iat")
        if isinstance(issued, (int, float)) and issued < uat:
            return self.handshake_or_out(reasons.SESSION_TOKEN_IAT_BEFORE_CLIENT_UAT)
        try:
            claims = yield from verify_session(bearer.jwt, self.settings, self.settings.rules, self.now)
        except (TokenRefused, KeySetUnavailable) as error:
            return (yield from self.after_refusal(_as_refusal(error), "cookie"))
        if self._comes_from_elsewhere() and self.redirects == 0:
            return self.handshake_or_out(
                reasons.PRIMARY_DOMAIN_CROSS_ORIGIN_SYNC,
                "Cross-origin request from satellite domain requires handshake",
            )
        return signed_in_session(token, claims)

    def handshake_or_out(
        self,
        reason: str,
        message: str = "",
        skew_seconds: float | None = None,
    ) -> RequestState:
        """A handshake where the request can follow one and has not just been through three, else signed out."""
        if not handshakes.is_eligible(self.request) or self.redirects == handshakes.MAX_REDIRECTS:
            return signed_out("session_token", reason, message, (), skew_seconds)
        token = self.cookies.session or self.header_token
        headers = handshakes.redirect_headers(self.settings, self.key, self.url, self.cookies, token, reason)
        return handshake(reason, message, handshakes.counted(headers, self.redirects), skew_seconds)

    def after_refusal(self, refusal: TokenRefused, carrier: str) -> Flow[RequestState]:
        """What a refused session token leads to: a refresh, a handshake, or signed out."""
        if refusal.reason == reasons.TOKEN_EXPIRED and self.cookies.refresh and self.request.method == "GET":
            refreshed = yield from self._refresh()
            if isinstance(refreshed, RequestState):
                return refreshed
            why = refreshed
        elif self.request.method != "GET":
            why = reasons.REFRESH_NOT_GET
        else:
            why = reasons.REFRESH_NO_COOKIE
        message = refusal.full_message(carrier)
        if refusal.reason not in _CLOCK_REASONS:
            return signed_out("session_token", refusal.reason, message)
        reason = {
            reasons.TOKEN_EXPIRED: f"{reasons.SESSION_TOKEN_EXPIRED}-refresh-{why}",
            reasons.TOKEN_NOT_ACTIVE_YET: reasons.SESSION_TOKEN_NBF,
            reasons.TOKEN_IAT_IN_THE_FUTURE: reasons.SESSION_TOKEN_IAT_IN_THE_FUTURE,
        }[refusal.reason]
        return self.handshake_or_out(reason, message, skew_seconds=refusal.skew_seconds)

    def _resolve_handshake(self) -> Flow[RequestState | None]:
        """The verdict of a request that comes back from a handshake; None to go on as if it did not."""
        nonce = handshakes.nonce_of(self.url, self.cookies)
        token = handshakes.token_of(self.url, self.cookies)
        if not nonce and not token:
            return None
        try:
            listed = yield from handshakes.directives(self.settings, nonce, token)
        except KeySetUnavailable:
            return None
        except TokenRefused as refusal:
            if not self.key.is_development:
                return None
            # A developer who has mixed up two instances' keys would go round in circles without being told.
            raise HandshakeFailed(
                f"Handshake token verification failed: {refusal.message} If keys were switched on this "
                "machine, clear the cookies and try again."
            ) from None
        headers, session_token = handshakes.cookie_headers(listed)
        headers = _RESOLVED + headers
        if self.key.is_development:
            headers += (("location", handshakes.clean_url(self.url)), ("cache-control", "no-store"))
        if not session_token:
            return signed_out("session_token", reasons.SESSION_TOKEN_MISSING, "", headers)
        return (yield from self._accept_new_token(session_token, headers))

    def _accept_new_token(self, token: str, headers: Headers) -> Flow[RequestState | None]:
        rules = self.settings.rules
        try:
            jwt = read_jwt(token)
            try:
                claims = yield from verify_session(jwt, self.settings, rules, self.now)
            except TokenRefused as refusal:
                if not self.key.is_development or refusal.reason not in _CLOCK_REASONS:
                    raise
                # In development a wrong clock should not end in a loop: a day is forgiven.
                forgiving = ClaimRules(
                    audience=rules.audience,
                    authorized_parties=rules.authorized_parties,
                    issuers=rules.issuers,
                    clock_skew=_DAY_SECONDS,
                )
                claims = yield from verify_session(jwt, self.settings, forgiving, self.now)
        except (TokenRefused, KeySetUnavailable):
            return None
        return signed_in_session(token, claims, headers)

    def _development_detour(self) -> RequestState | None:
        """Development keeps a browser's identity in the address or a cookie of the page; it must be there first."""
        if self.url.parameter(DEV_BROWSER) is not None:
            return self.handshake_or_out(reasons.DEV_BROWSER_SYNC)
        if not self.dev_browser:
            return self.handshake_or_out(reasons.DEV_BROWSER_MISSING)
        return None

    def _refresh(self) -> Flow[RequestState | str]:
        """Signed in with a fresh token, or why there is none."""
        expired = self.cookies.session
        if not expired:
            return reasons.REFRESH_MISSING_SESSION_TOKEN
        try:
            session_id = read_jwt(expired).claims.get("sid")
        except TokenRefused:
            return reasons.REFRESH_DECODE_FAILED
        if not isinstance(session_id, str) or not session_id:
            return reasons.REFRESH_MISSING_SID
        answer: ApiAnswer = yield handshakes.refresh_call(
            self.settings, self.request, self.url, self.cookies, session_id
        )
        if not answer.is_success:
            if answer.status is None:
                return reasons.REFRESH_FETCH_ERROR
            code = answer.first_error()[0]
            return _reason_text(code) if code else reasons.REFRESH_UNEXPECTED_API_ERROR
        listed = answer.body.get("cookies") if isinstance(answer.body, dict) else None
        if not isinstance(listed, list) or not listed:
            return reasons.REFRESH_UNEXPECTED_SDK_ERROR
        headers, token = handshakes.cookie_headers(
            text for text in listed if isinstance(text, str) and text.isprintable()
        )
        try:
            claims = yield from verify_session(read_jwt(token), self.settings, self.settings.rules, self.now)
        except (TokenRefused, KeySetUnavailable):
            return reasons.REFRESH_INVALID_SESSION_TOKEN
        return signed_in_session(token, claims, headers)

    def _comes_from_elsewhere(self) -> bool:
        """Whether another site's page led here: its sign-in may be newer than what our cookies say."""
        referrer = self.request.header("referer")
        if (
            self.request.method != "GET"
            or self.request.header("sec-fetch-dest") != "document"
            or not referrer
        ):
            return False
        try:
            origin = read_url(referrer)
        except ValueError:
            return False
        return origin.origin != self.url.origin and not self._is_ours(origin)

    def _is_ours(self, referrer: Url) -> bool:
        frontend_api = self.settings.frontend_api
        own = (urlsplit(frontend_api).hostname or "") if frontend_api.startswith("http") else frontend_api
        host = urlsplit(referrer.origin).hostname or ""
        if host == own:
            return True
        if self.key.is_development and _is_development_portal(host):
            return True
        replaced = frontend_api
        for found, by in (
            ("clerk.accountsstage.", "accountsstage."),
            ("clerk.accounts.", "accounts."),
            ("clerk.", "accounts."),
        ):
            if found in replaced:
                replaced = replaced.replace(found, by, 1)
                break
        return referrer.origin == f"https://{replaced}"


_PORTALS = (".accounts.dev", ".accountsstage.dev", ".accounts.lclclerk.com")
_LEGACY_PORTALS = (".lcl.dev", ".lclstage.dev", ".lclclerk.com")


def _is_development_portal(host: str) -> bool:
    if host.startswith("accounts.") and host.endswith(_LEGACY_PORTALS):
        return True
    return any(host.endswith(suffix) and not host.endswith(".clerk" + suffix) for suffix in _PORTALS)


def _as_refusal(error: TokenRefused | KeySetUnavailable) -> TokenRefused:
    return error if isinstance(error, TokenRefused) else TokenRefused(error.code, str(error))


def _reason_text(code: str) -> str:
    """A server's code as part of a header: nothing but what a code is made of."""
    return "".join(letter for letter in code[:80] if letter.isalnum() or letter in "-_.")

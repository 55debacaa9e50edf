"""The two shells around the core: one for threads, one for coroutines, over the same keys and the same rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import msgspec

from doorward.jose import KeySet, PublicKey
from doorward.verify import reasons
from doorward.verify.decision import check_session, decide, takes_sessions, verify_session
from doorward.verify.effects import ApiAnswer, ApiCall, Flow, KeysFor
from doorward.verify.errors import KeySetUnavailable, VerifyError
from doorward.verify.handshake import API_VERSION
from doorward.verify.jwks import JwksCache
from doorward.verify.jwt import Keys, UnverifiedJwt, read_jwt
from doorward.verify.remembered import VerifiedTokens
from doorward.verify.requests import AuthRequest, form
from doorward.verify.results import session_auth
from doorward.verify.settings import (
    Accepted,
    AcceptsToken,
    check_sufficient,
    client_configuration,
    make_settings,
    read_accepts,
)
from doorward.verify.state import RequestState
from doorward.verify.transport import HttpAnswer, HttpRequest, Send, SendAsync, send, send_async

T = TypeVar("T")


class Authenticator:
    """Tells who requests are by. Make one at start and keep it: it holds the key cache.

        auth = Authenticator(authorized_parties=["https://app.example.com"])      # keys from CLERK_* variables
        state = auth.authenticate_request(request)                                # or await ..._async(request)
        if state.is_authenticated: state.to_auth().user_id

    `publishable_key`: the instance; without it cookies are not read, only `Authorization`.
    `secret_key`: for the key set and for opaque tokens. `machine_secret_key`: for M2M tokens, of this machine.
    `jwt_key`: the public key in PEM, for verifying without network. `jwks_url`: keys without a secret key.
    `api_url`: the Backend API. `proxy_url`: where browsers reach the Frontend API, if not at its own host.
    `audience`, `authorized_parties` (origins, `azp`), `issuer`: what a token must say; empty asks for nothing.
    `clock_skew`: seconds forgiven. `verified_tokens`: how many verified session tokens to remember, so that a
    token seen again costs no signature; its times are still checked every time, and one bound to a key by DPoP is
    never remembered.
    `send`, `send_async`, `clock` (seconds since 1970) may be replaced. `environment`: in place of `os.environ`.

    Raises ConfigurationError when made with what cannot work.
    """

    def __init__(
        self,
        *,
        publishable_key: str | None = None,
        secret_key: str | None = None,
        machine_secret_key: str | None = None,
        jwt_key: str | PublicKey | None = None,
        api_url: str | None = None,
        jwks_url: str | None = None,
        proxy_url: str | None = None,
        audience: str | Collection[str] | None = None,
        authorized_parties: Collection[str] | None = None,
        issuer: str | Collection[str] | None = None,
        clock_skew: float = 5.0,
        accepts_token: AcceptsToken = "session_token",
        sign_in_url: str = "",
        sign_up_url: str = "",
        verified_tokens: int = 0,
        send: Send = send,
        send_async: SendAsync = send_async,
        clock: Callable[[], float] = time.time,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = make_settings(
            publishable_key=publishable_key,
            secret_key=secret_key,
            machine_secret_key=machine_secret_key,
            jwt_key=jwt_key,
            api_url=api_url,
            jwks_url=jwks_url,
            proxy_url=proxy_url,
            audience=audience,
            authorized_parties=authorized_parties,
            issuer=issuer,
            clock_skew=clock_skew,
            sign_in_url=sign_in_url,
            sign_up_url=sign_up_url,
            environment=environment,
        )
        self._accepts = read_accepts(accepts_token)
        check_sufficient(self.settings, self._accepts)
        self._send, self._send_async, self._clock = send, send_async, clock
        self._jwks = self._key_cache()
        self._verified = VerifiedTokens(verified_tokens) if verified_tokens > 0 else None

    def __repr__(self) -> str:
        return f"Authenticator({self.settings!r})"

    @property
    def keys_are_stale(self) -> bool:
        """Whether tokens are checked with old keys because the issuer cannot be asked."""
        return self._jwks is not None and self._jwks.is_stale

    def client_configuration(self) -> dict[str, str]:
        """What a page may be told: the publishable key and public addresses, no secret."""
        return client_configuration(self.settings)

    def authenticate_request(
        self, request: AuthRequest, *, accepts_token: AcceptsToken | None = None
    ) -> RequestState:
        """The verdict on `request`, in a thread. Raises HandshakeFailed (development), ConfigurationError."""
        accepts = self._accepted(accepts_token)
        known = self.remembered_bearer(request.header("authorization"), accepts)
        if known is not None:
            return known
        keys = self._keys_at_hand()
        return self._finished(self.run(decide(request, self.settings, accepts, self._clock())), keys)

    async def authenticate_request_async(
        self, request: AuthRequest, *, accepts_token: AcceptsToken | None = None
    ) -> RequestState:
        """As `authenticate_request`, in a coroutine."""
        accepts = self._accepted(accepts_token)
        known = self.remembered_bearer(request.header("authorization"), accepts)
        if known is not None:
            return known
        keys = self._keys_at_hand()
        state = await self.run_async(decide(request, self.settings, accepts, self._clock()))
        return self._finished(state, keys)

    def remembered_bearer(self, authorization: str | None, accepts: Accepted) -> RequestState | None:
        """Signed in by a bearer token verified lately, which nothing else of the request changes.

        None leaves the verdict to `authenticate_request`, also where the token holds no more.
        """
        if self._verified is None or authorization is None:
            return None
        keys, rules = self._keys_at_hand(), self.settings.rules
        known = self._verified.find(authorization, keys, rules, self._clock())
        return known if accepts == "any" or takes_sessions(accepts) else None

    def verify_token(self, token: str) -> dict[str, Any]:
        """The claims of a session token alone. Raises TokenRefused, KeySetUnavailable."""
        if self._verified is not None and (known := self._remembered_claims(token)) is not None:
            return known
        jwt, now = read_jwt(token), self._clock()
        keys = self._keys_at_hand(jwt)
        if keys is None:
            return self.run(verify_session(jwt, self.settings, self.settings.rules, now))
        claims = check_session(jwt, keys, self.settings.rules, now)
        if self._verified is not None:
            self._verified.add(token, session_auth(token, claims), keys, self.settings.rules)
        return claims

    async def verify_token_async(self, token: str) -> dict[str, Any]:
        """As `verify_token`, in a coroutine."""
        if self._verified is not None and (known := self._remembered_claims(token)) is not None:
            return known
        jwt, now = read_jwt(token), self._clock()
        keys = self._keys_at_hand(jwt)
        if keys is None:
            return await self.run_async(verify_session(jwt, self.settings, self.settings.rules, now))
        claims = check_session(jwt, keys, self.settings.rules, now)
        if self._verified is not None:
            self._verified.add(token, session_auth(token, claims), keys, self.settings.rules)
        return claims

    def run(self, flow: Flow[T]) -> T:
        """What `flow` comes to, its wishes served in this thread."""
        try:
            wish = next(flow)
            while True:
                try:
                    answer = self._serve(wish)
                except VerifyError as error:
                    wish = flow.throw(error)
                else:
                    wish = flow.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    async def run_async(self, flow: Flow[T]) -> T:
        """What `flow` comes to, its wishes served without holding up the event loop."""
        try:
            wish = next(flow)
            while True:
                try:
                    answer = await self._serve_async(wish)
                except VerifyError as error:
                    wish = flow.throw(error)
                else:
                    wish = flow.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def _serve(self, wish: KeysFor | ApiCall) -> KeySet | PublicKey | ApiAnswer:
        if isinstance(wish, KeysFor):
            return self.settings.jwt_key or self._cache().keys_for_blocking(wish.kid)
        try:
            return _answer(self._send(http_request(self.settings.api_url, wish)))
        except OSError:
            return ApiAnswer(None)

    async def _serve_async(self, wish: KeysFor | ApiCall) -> KeySet | PublicKey | ApiAnswer:
        if isinstance(wish, KeysFor):
            return self.settings.jwt_key or await self._cache().keys_for(wish.kid)
        try:
            return _answer(await self._send_async(http_request(self.settings.api_url, wish)))
        except OSError:
            return ApiAnswer(None)

    def _cache(self) -> JwksCache:
        if self._jwks is None:
            raise KeySetUnavailable("no key is configured", code=reasons.JWK_FAILED_TO_RESOLVE)
        return self._jwks

    def _key_cache(self) -> JwksCache | None:
        settings = self.settings
        if settings.jwt_key is not None or not settings.can_resolve_keys:
            return None
        url = settings.jwks_url or f"{settings.api_url}/v1/jwks"
        call = ApiCall(method="GET", path="/v1/jwks", bearer="" if settings.jwks_url else settings.secret_key)
        request = msgspec.structs.replace(http_request(settings.api_url, call), url=url)

        def fetch_blocking(_: str) -> bytes:
            return _key_set_of(self._send(request), url)

        async def fetch(_: str) -> bytes:
            return _key_set_of(await self._send_async(request), url)

        return JwksCache(url, fetch=fetch, fetch_blocking=fetch_blocking)

    def _accepted(self, accepts_token: AcceptsToken | None) -> Accepted:
        if accepts_token is None:
            return self._accepts
        accepts = read_accepts(accepts_token)
        check_sufficient(self.settings, accepts)
        return accepts

    def _finished(self, state: RequestState, keys: Keys | None) -> RequestState:
        """`state`, and its token remembered, if the keys at hand beforehand are the ones it was judged by."""
        if (
            self._verified is not None
            and state.session is not None
            and state.token is not None
            and keys is not None
            and keys is self._keys_at_hand()
        ):
            self._verified.add(state.token, state.session, keys, self.settings.rules)
        return self._with_age_of_keys(state)

    def _with_age_of_keys(self, state: RequestState) -> RequestState:
        return msgspec.structs.replace(state, keys_are_stale=True) if self.keys_are_stale else state

    def _remembered_claims(self, token: str) -> dict[str, Any] | None:
        known = self.remembered_bearer(f"Bearer {token}", "session_token")
        return None if known is None else known.session_claims

    def _keys_at_hand(self, jwt: UnverifiedJwt | None = None) -> Keys | None:
        """What `KeysFor` would be answered with for this token; None where the issuer has to be asked first."""
        if self._jwks is None:
            return self.settings.jwt_key
        return self._jwks.fresh_for(None if jwt is None else jwt.header.get("kid"))


def http_request(api_url: str, call: ApiCall) -> HttpRequest:
    """`call` on the wire."""
    query = f"?{form(call.query.items())}" if call.query else ""
    headers = {
        "accept": "application/json",
        "clerk-api-version": API_VERSION,
        "content-type": "application/json",
        "user-agent": "doorward-verify",
    }
    if call.bearer:
        headers["authorization"] = f"Bearer {call.bearer}"
    body = None if call.body is None else msgspec.json.encode(call.body)
    return HttpRequest(method=call.method, url=f"{api_url}{call.path}{query}", headers=headers, body=body)


def _answer(answer: HttpAnswer) -> ApiAnswer:
    try:
        return ApiAnswer(answer.status, msgspec.json.decode(answer.body) if answer.body else None)
    except (msgspec.DecodeError, RecursionError):
        return ApiAnswer(answer.status)


def _key_set_of(answer: HttpAnswer, url: str) -> bytes:
    """The body of a key set's answer. Raises KeySetUnavailable, with the reason Clerk's SDK gives."""
    if answer.status == 200:
        return answer.body
    code, message = _answer(answer).first_error()
    if code == "clerk_key_invalid":
        raise KeySetUnavailable(message or "The secret key is not valid.", code=reasons.SECRET_KEY_INVALID)
    raise KeySetUnavailable(f"Error loading Clerk JWKS from {url} with code={answer.status}")

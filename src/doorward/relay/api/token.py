"""The token endpoint: a subject token and a DPoP proof for a relay access token (RFC 8693, RFC 9449)."""

from typing import Any

from doorward.relay.api.bodies import form_body
from doorward.relay.api.metadata import TOKEN_PATH
from doorward.relay.api.refusals import invalid_dpop
from doorward.relay.extension_errors import RateLimited
from doorward.relay.http.routing import Call, Route, anyone
from doorward.relay.limits.service import Limits
from doorward.relay.replay.service import DpopProofs
from doorward.relay.tokens.access_token import LIFETIME_S, AccessToken, issue_access_token
from doorward.relay.tokens.rules import TokenSigner
from doorward.relay.users.service import NotAuthenticated, Subject, Users
from doorward.store import Clock
from doorward.t3_connect import InvalidScope
from doorward.t3_connect.errors import AuthInvalid, RelayError, RelayInternal
from doorward.t3_connect.messages import (
    TOKEN_TYPE_ACCESS_TOKEN,
    TOKEN_TYPE_JWT,
    TokenExchangeRequest,
    TokenExchangeResponse,
)
from doorward.t3_connect.scopes import relay_scopes
from doorward.verify import KeySetUnavailable

SESSION_CLIENTS = frozenset({"t3-mobile", "t3-web"})


class TokenApi:
    def __init__(
        self, *, users: Users, proofs: DpopProofs, limits: Limits, signer: TokenSigner, clock: Clock
    ) -> None:
        self._users = users
        self._proofs = proofs
        self._limits = limits
        self._signer = signer
        self._clock = clock

    def routes(self) -> list[Route[Any, Any]]:
        return [
            Route(
                "POST",
                TOKEN_PATH,
                self.exchange,
                anyone,
                "Exchange a subject token for a DPoP-bound access token",
                body=form_body(TokenExchangeRequest, _token_type_fits_client),
                response=(TokenExchangeResponse,),
                refusals=(AuthInvalid, RateLimited),
                required_headers=("dpop",),
                no_store=True,
            )
        ]

    async def exchange(self, call: Call[None, TokenExchangeRequest]) -> TokenExchangeResponse:
        form = call.body
        if form.resource != self._signer.issuer:
            raise invalid_dpop()
        try:
            scopes = relay_scopes(form.scope, form.client_id)
        except InvalidScope as error:
            raise invalid_dpop() from error
        subject = await self._subject(form)
        used_up = await self._proofs.consume(
            call.arrival.headers.get("dpop"),
            counting=self._limits.counting(subject.user_id, "token_exchanges"),
            method=call.arrival.method,
            url=call.arrival.url,
            thumbprint=subject.thumbprint,
        )
        grant = AccessToken(
            user_id=subject.user_id,
            client_id=form.client_id,
            scopes=scopes,
            thumbprint=used_up.proof.thumbprint,
            environment_id=subject.environment_id,
        )
        return TokenExchangeResponse(
            access_token=issue_access_token(self._signer, grant, now=self._clock() // 1000),
            issued_token_type="urn:ietf:params:oauth:token-type:access_token",  # noqa: S106
            token_type="DPoP",  # noqa: S106 - a token type
            expires_in=LIFETIME_S,
            scope=" ".join(scopes),
        )

    async def _subject(self, form: TokenExchangeRequest) -> Subject:
        try:
            if form.client_id in SESSION_CLIENTS:
                return await self._users.session_subject(form.subject_token)
            return await self._users.client_subject(form.subject_token, form.client_id)
        except NotAuthenticated as error:
            raise RelayError(AuthInvalid(reason="invalid_bearer")) from error
        except KeySetUnavailable as error:
            raise RelayError(RelayInternal(reason="upstream_unavailable")) from error


def _token_type_fits_client(form: TokenExchangeRequest) -> bool:
    """T3's clients bring a session's JWT; our command line and gate bring their own OAuth access token."""
    expected = TOKEN_TYPE_JWT if form.client_id in SESSION_CLIENTS else TOKEN_TYPE_ACCESS_TOKEN
    return form.subject_token_type == expected

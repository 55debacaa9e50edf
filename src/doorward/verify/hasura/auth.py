"""From a request's headers to its session: the mode, the key set or the webhook, the claims, the role."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from doorward.jose import ForeignKey, InvalidKey, foreign_keys_of_jwk
from doorward.verify.hasura.auth_config import MODE_HEADER, AuthConfig, JwtMode, NoAuthMode, WebhookModeV3
from doorward.verify.hasura.claims import identity_of
from doorward.verify.hasura.errors import HasuraRefused
from doorward.verify.hasura.session import HasuraSession, Identity, session_of
from doorward.verify.hasura.token import JwkKeys, kid_of, token_of, verified_claims
from doorward.verify.hasura.webhook import WebhookAnswer, WebhookRequest, webhook_identity, webhook_request
from doorward.verify.transport import fetch_url

FRESH_SECONDS = 60
MIN_REFETCH_SECONDS = 10


class HasuraAuth:
    """Resolves requests as the engine would. `fetch` gets a key set, `call_webhook` asks a webhook; `clock` is seconds.

    A key set is kept for a minute and asked for once more when a token names a key it lacks, but at most every ten
    seconds; the engine asks at every request, which no issuer should have to bear twice.
    """

    def __init__(
        self,
        config: AuthConfig,
        *,
        fetch: Callable[[str], Awaitable[bytes]] = fetch_url,
        call_webhook: Callable[[WebhookRequest], Awaitable[WebhookAnswer]] | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        mode_header: str = MODE_HEADER,
        aud_needs_audience: bool = True,
    ) -> None:
        self._config = config
        self._fetch = fetch
        self._call_webhook = call_webhook
        self._environ = os.environ if environ is None else environ
        self._clock = clock
        self._mode_header = mode_header.lower()
        self._aud_needs_audience = aud_needs_audience
        self._key_sets: dict[str, tuple[float, JwkKeys]] = {}

    async def resolve(self, headers: Mapping[str, str]) -> HasuraSession:
        """Raises HasuraRefused."""
        lowered = {name.lower(): value for name, value in headers.items()}
        name, mode = self._config.mode_for(lowered.get(self._mode_header))
        match mode:
            case NoAuthMode():
                variables = {key.lower(): value for key, value in mode.session_variables.items()}
                identity = Identity(mode.role, (mode.role,), variables)
            case WebhookModeV3():
                identity = await self._ask_webhook(mode, lowered)
            case JwtMode():
                claims = await self._claims(name, mode, token_of(lowered, mode))
                identity = identity_of(claims, mode.claims_config, emulation_role=self._config.emulation_role)
        return session_of(identity, lowered)

    async def _claims(self, name: str, mode: JwtMode, token: str) -> dict[str, Any]:
        fixed = self._config.fixed_keys.get(name)
        keys = {} if fixed is not None else await self._keys(str(mode.key.jwk_from_url), kid_of(token))
        return verified_claims(
            token,
            mode,
            fixed=fixed,
            keys=keys,
            now=int(self._clock()),
            aud_needs_audience=self._aud_needs_audience,
        )

    async def _ask_webhook(self, mode: WebhookModeV3, headers: Mapping[str, str]) -> Identity:
        if self._call_webhook is None:
            raise HasuraRefused("webhook_failed", "No HTTP client was given to ask the webhook with.")
        answer = await self._call_webhook(webhook_request(mode, headers, self._environ))
        return webhook_identity(answer, emulation_role=self._config.emulation_role)

    async def _keys(self, url: str, kid: str) -> JwkKeys:
        """Raises HasuraRefused (500) when there is no key set to be had."""
        kept, now = self._key_sets.get(url), self._clock()
        if kept is not None:
            age = now - kept[0]
            if age < MIN_REFETCH_SECONDS or (age < FRESH_SECONDS and kid in kept[1]):
                return kept[1]
        try:
            fetched = _keys_of(await self._fetch(url))
        except (OSError, InvalidKey) as error:
            if kept is not None:
                return kept[1]
            raise HasuraRefused("keys_unavailable", f"The key set cannot be had: {error}.") from None
        self._key_sets[url] = (now, fetched)
        return fetched


def _keys_of(body: bytes) -> dict[str, dict[str, ForeignKey]]:
    """By kid. The engine reads all of a set or nothing: one key it does not know breaks it. Raises InvalidKey."""
    try:
        jwks = msgspec.json.decode(body, type=dict[str, Any])
        listed = [jwk for jwk in jwks["keys"] if isinstance(jwk["kid"], str)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        raise InvalidKey("it is not a key set") from None
    return {jwk["kid"]: foreign_keys_of_jwk(jwk) for jwk in listed}

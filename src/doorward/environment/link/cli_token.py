"""The OAuth token of the machine's owner, as the CLI stored it; refreshed five minutes early, one at a time."""

import asyncio
import logging

import msgspec

from doorward.environment.keys import SecretStore, SecretStoreFailed, names
from doorward.jose import JoseError, peek_claims
from doorward.outbound import Outbound, OutboundError
from doorward.store import Clock

log = logging.getLogger(__name__)

REFRESH_EARLY_MS = 5 * 60_000
#: `invalid_grant` and `invalid_client` (RFC 6749 §5.2); anything else is the server's trouble, not the token's.
_REFUSALS = (400, 401)
REFRESH_FAILED = "Could not refresh the T3 Connect CLI credential."


class CliTokenRefused(Exception):
    """There is a token, but it can no longer be used: sign in again."""

    code = "cli_token_refused"


class CliTokenUnavailable(Exception):
    """There is a token, but the accounts server did not renew it now; it may later."""

    code = "cli_token_unavailable"


class CliToken(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The secret `cloud-cli-oauth-token`."""

    access_token: str
    refresh_token: str
    expires_at_epoch_ms: int

    def __repr__(self) -> str:
        return f"CliToken(expires_at_epoch_ms={self.expires_at_epoch_ms})"


class _Refreshed(msgspec.Struct):
    """A token endpoint's answer (RFC 6749 §5.1); `expires_in` in seconds."""

    access_token: str
    expires_in: float
    refresh_token: str | None = None


class _Issued(msgspec.Struct):
    """Of an access token's claims (RFC 9068); seconds."""

    iat: float


class CliTokens:
    def __init__(
        self,
        secrets: SecretStore,
        clock: Clock,
        outbound: Outbound,
        *,
        accounts_origin: str | None,
        client_id: str,
    ) -> None:
        self._secrets = secrets
        self._clock = clock
        self._outbound = outbound
        self._accounts_origin = accounts_origin
        self._client_id = client_id
        self._one_at_a_time = asyncio.Lock()

    def is_stored(self) -> bool:
        """Raises SecretStoreFailed."""
        return self._secrets.get(names.CLI_TOKEN) is not None

    def store(self, token: CliToken) -> None:
        """Raises SecretStoreFailed."""
        self._secrets.set(names.CLI_TOKEN, msgspec.json.encode(token))

    def remove(self) -> None:
        """Raises SecretStoreFailed."""
        self._secrets.remove(names.CLI_TOKEN)

    async def existing(self, *, max_age_ms: int | None = None) -> str | None:
        """A usable access token, refreshed where due or older than `max_age_ms`; None when nobody signed in here.

        Raises CliTokenRefused, CliTokenUnavailable, SecretStoreFailed.
        """
        async with self._one_at_a_time:
            token = self._read()
            if token is None or not self._is_due(token, max_age_ms):
                return None if token is None else token.access_token
            # A refresh token is good for one use; a second use looks like theft and ends the sign-in. So the
            # agent and every CLI beside it take turns, and whoever comes second finds the fresh token.
            async with self._secrets.exclusively(names.CLI_TOKEN):
                token = self._read()
                if token is not None and self._is_due(token, max_age_ms):
                    token = await self._refresh(token)
                    self.store(token)
            return None if token is None else token.access_token

    def _read(self) -> CliToken | None:
        stored = self._secrets.get(names.CLI_TOKEN)
        if stored is None:
            return None
        try:
            return msgspec.json.decode(stored, type=CliToken)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CliTokenRefused(REFRESH_FAILED) from error

    def _is_due(self, token: CliToken, max_age_ms: int | None) -> bool:
        now = self._clock()
        if token.expires_at_epoch_ms - now <= REFRESH_EARLY_MS:
            return True
        return max_age_ms is not None and now - _issued_at_ms(token) > max_age_ms

    async def _refresh(self, token: CliToken) -> CliToken:
        if self._accounts_origin is None:
            raise CliTokenRefused(REFRESH_FAILED)
        try:
            response = await self._outbound.form(
                f"{self._accounts_origin}/oauth/token",
                {
                    "grant_type": "refresh_token",
                    "refresh_token": token.refresh_token,
                    "client_id": self._client_id,
                },
                headers={"accept": "application/json"},
            )
            if response.status in _REFUSALS:
                raise CliTokenRefused(REFRESH_FAILED)
            if response.status != 200:
                raise CliTokenUnavailable(REFRESH_FAILED)
            answer = response.json(_Refreshed)
        except OutboundError as error:
            raise CliTokenUnavailable(REFRESH_FAILED) from error
        return CliToken(
            access_token=answer.access_token,
            refresh_token=answer.refresh_token or token.refresh_token,
            expires_at_epoch_ms=self._clock() + int(answer.expires_in * 1000),
        )


def _issued_at_ms(token: CliToken) -> int:
    """When the accounts server made it; long ago where the token does not say. Nothing is decided on it but a refresh."""
    try:
        return int(peek_claims(token.access_token, _Issued).iat * 1000)
    except JoseError:
        return 0


__all__ = ["CliToken", "CliTokenRefused", "CliTokenUnavailable", "CliTokens", "SecretStoreFailed"]

"""A machine's API as a client uses it: who is there, a session for a credential, a ticket for a socket.

Every failure becomes one of our errors by the table of connect-environment §7.6: what the machine refuses blocks, what it
does not answer is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from doorward.client.errors import ClientError, Refused, Unavailable
from doorward.jose import PrivateKey, create_dpop_proof
from doorward.outbound import CertificateRefused, InsecureUrl, Outbound, OutboundError, Response, TimedOut
from doorward.t3_connect import errors as wire
from doorward.t3_connect.messages import (
    GRANT_TYPE_TOKEN_EXCHANGE,
    TOKEN_TYPE_ACCESS_TOKEN,
    TOKEN_TYPE_ENVIRONMENT_BOOTSTRAP,
    Descriptor,
    TokenExchangeResponse,
    WebSocketTicket,
)

T = TypeVar("T")
Clock = Callable[[], int]

STANDARD_SCOPE = "orchestration:read orchestration:operate terminal:operate review:write relay:read"
TIMEOUT_SECONDS = 10.0


class EnvironmentToken(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A session at one machine, bound to one key; as it is kept between commands. Secret."""

    environment_id: str
    label: str
    http_base_url: str
    ws_base_url: str
    access_token: str
    expires_at_epoch_ms: int
    dpop_thumbprint: str

    def __repr__(self) -> str:
        return f"EnvironmentToken({self.environment_id}, expires_at_epoch_ms={self.expires_at_epoch_ms})"


class EnvironmentClient:
    """One machine at `base_url` (ends in `/`). Every method raises Refused or Unavailable."""

    def __init__(
        self, outbound: Outbound, base_url: str, *, clock: Clock, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self._outbound = outbound
        self._base = base_url
        self._clock = clock
        self._timeout = timeout

    async def descriptor(self, expected: str) -> Descriptor:
        """Who answers here, who must be the environment meant: nothing secret goes out before that is known."""
        found = await self._ask("GET", ".well-known/t3/environment", Descriptor)
        if found.environment_id != expected:
            raise Refused(
                f"Connected environment {found.environment_id} does not match {expected}.",
                reason="configuration",
            )
        return found

    async def exchange(self, credential: str, key: PrivateKey) -> TokenExchangeResponse:
        """A session for the credential that the relay brought (RFC 8693); bound to the key."""
        proof = self._proof("oauth/token", key)
        form = {
            "grant_type": GRANT_TYPE_TOKEN_EXCHANGE,
            "subject_token": credential,
            "subject_token_type": TOKEN_TYPE_ENVIRONMENT_BOOTSTRAP,
            "requested_token_type": TOKEN_TYPE_ACCESS_TOKEN,
            "scope": STANDARD_SCOPE,
        }
        token = await self._ask("POST", "oauth/token", TokenExchangeResponse, form=form, proof=proof)
        if token.token_type != "DPoP":  # noqa: S105 - a scheme
            raise Refused(
                "The machine answered with a token that is not bound to this device's key.",
                reason="authentication",
            )
        return token

    async def websocket_ticket(self, access_token: str, key: PrivateKey) -> WebSocketTicket:
        """What opens a socket, where no header can go along."""
        path = "api/auth/websocket-ticket"
        proof = self._proof(path, key, access_token)
        return await self._ask("POST", path, WebSocketTicket, token=access_token, proof=proof)

    def _proof(self, path: str, key: PrivateKey, access_token: str | None = None) -> str:
        return create_dpop_proof(
            key,
            method="POST",
            url=f"{self._base}{path}",
            now=self._clock() // 1000,
            access_token=access_token,
        )

    async def _ask(
        self,
        method: str,
        path: str,
        shape: type[T],
        *,
        form: dict[str, str] | None = None,
        token: str | None = None,
        proof: str | None = None,
    ) -> T:
        url = f"{self._base}{path}"
        headers = {} if proof is None else {"dpop": proof}
        if token is not None:
            headers["authorization"] = f"DPoP {token}"
        try:
            if form is not None:
                answer = await self._outbound.form(url, form, headers=headers, timeout=self._timeout)
            else:
                answer = await self._outbound.request(method, url, headers=headers, timeout=self._timeout)
        except TimedOut as error:
            raise Unavailable(
                f"Remote environment endpoint {url} timed out after {self._timeout * 1000:.0f}ms.",
                reason="timeout",
            ) from error
        except (InsecureUrl, CertificateRefused) as error:
            raise Refused(f"{error}", reason="configuration") from error
        except OutboundError as error:
            raise Unavailable(f"{error} Is `doorward expose` running there?") from error
        if answer.status != 200:
            raise failure_of(answer, url)
        try:
            return answer.json(shape)
        except OutboundError as error:
            raise Unavailable(
                f"Remote environment endpoint {url} returned an invalid response.",
                reason="remote-unavailable",
            ) from error


def failure_of(answer: Response, url: str) -> ClientError:
    """A machine's refusal, revived from its JSON; whatever is none of its declared errors is its trouble, not ours."""
    match wire.decode_environment_error(answer.body):
        case wire.EnvironmentAuthInvalid():
            return Refused("The environment credential is invalid.", reason="authentication")
        case wire.EnvironmentScopeRequired() | wire.EnvironmentOperationForbidden():
            return Refused("The environment credential does not grant the required access.")
        case wire.EnvironmentRequestInvalid():
            return Refused("The environment rejected the authentication request.", reason="configuration")
        case wire.EnvironmentInternal():
            return Unavailable(
                "The environment could not authorize the connection.", reason="remote-unavailable"
            )
        case _:
            return Unavailable(
                f"Remote environment endpoint {url} returned undeclared status {answer.status}.",
                reason="remote-unavailable",
            )

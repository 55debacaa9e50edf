"""From a linked machine to a session there: connect, wait for approval, exchange, keep fresh.

The machine's token is bound to the device's key and lives an hour; `token()` renews it by connecting anew, which
checks the account and the approval again. A revoked device finds out at its next renewal or request.
"""

from __future__ import annotations

import asyncio
import platform
import socket
from collections.abc import Callable
from typing import Literal

import msgspec

from doorward.client.errors import ApprovalRejected, ClientError, Refused, Unavailable
from doorward.client.relay import Clock, RelayClient
from doorward.jose import PrivateKey, create_dpop_proof, key_phrase
from doorward.outbound import Outbound, OutboundError, Response
from doorward.t3_connect.messages import (
    GRANT_TYPE_TOKEN_EXCHANGE,
    TOKEN_TYPE_ACCESS_TOKEN,
    TOKEN_TYPE_ENVIRONMENT_BOOTSTRAP,
    ClientMeta,
    ConnectPending,
    Descriptor,
    EnvironmentEntry,
    TokenExchangeResponse,
)

STANDARD_SCOPE = "orchestration:read orchestration:operate terminal:operate review:write relay:read"
_RENEW_BEFORE_MS = 60_000
_ASK_AGAIN_SECONDS = 5.0
_WAIT_TIMEOUT = 40.0

Waiting = Callable[[str], None]
"""Called once with the key phrase when the owner has to approve this device."""


class _Seen(msgspec.Struct):
    """What this device knows already; the machine answers when it is no longer so."""

    seen: Literal["pending"]


class _ApprovalStatus(msgspec.Struct):
    status: Literal["pending", "approved", "rejected", "unknown"]


def this_device() -> ClientMeta:
    """How this program introduces itself; the owner sees it as untrusted text."""
    system = {"Darwin": "macOS"}.get(platform.system(), platform.system())
    return ClientMeta(label=f"doorward on {socket.gethostname()}", device_type="desktop", os=system)


class MachineConnection:
    """This device at one machine. Not yet connected when made; `token()` connects when it must."""

    def __init__(
        self,
        outbound: Outbound,
        relay: RelayClient,
        machine: EnvironmentEntry,
        key: PrivateKey,
        *,
        clock: Clock,
        on_waiting: Waiting,
    ) -> None:
        self._outbound = outbound
        self._relay = relay
        self._machine = machine
        self._clock = clock
        self._on_waiting = on_waiting
        self._token = ""
        self._expires_at = 0
        self._connecting = asyncio.Lock()
        self.key = key
        self.key_phrase = key_phrase(key.public.thumbprint)

    async def token(self) -> str:
        """An access token of the machine with at least a minute left.

        Raises ApprovalRejected, Refused, SignInRequired or Unavailable.
        """
        async with self._connecting:
            if self._expires_at < self._clock() + _RENEW_BEFORE_MS:
                await self._connect()
            return self._token

    def forget(self) -> None:
        """Drop the token: the machine no longer takes it."""
        self._expires_at = 0

    def proof(self, method: str, url: str) -> str:
        """A DPoP proof for one request with the current token."""
        return create_dpop_proof(
            self.key, method=method, url=url, now=self._clock() // 1000, access_token=self._token
        )

    async def _connect(self) -> None:
        told = False
        while True:
            answer = await self._relay.connect(self._machine, self.key, this_device())
            if not isinstance(answer, ConnectPending):
                await self._exchange(answer.endpoint.http_base_url, answer.credential)
                return
            if answer.approval_status == "rejected":
                raise ApprovalRejected(
                    f"The owner of {self._machine.label} rejected this device ({self.key_phrase}). "
                    "Ask them to approve it on the machine's Connections page."
                )
            if not told:
                self._on_waiting(self.key_phrase)
                told = True
            await self._wait_for_decision(self._machine.endpoint.http_base_url)

    async def _wait_for_decision(self, base: str) -> None:
        """Return when asking again is worth it: a decision fell, or the machine cannot tell us of one."""
        url = f"{base}gate/wait"
        while True:
            proof = create_dpop_proof(self.key, method="POST", url=url, now=self._clock() // 1000)
            try:
                answer = await self._outbound.request(
                    "POST", url, headers={"dpop": proof}, timeout=_WAIT_TIMEOUT
                )
                status = answer.json(_ApprovalStatus).status if answer.status == 200 else "unknown"
            except OutboundError:
                status = "unknown"
            if status == "unknown":
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
                return
            if status != "pending":
                return

    async def _exchange(self, base: str, credential: str) -> None:
        """Redeem the credential for a session (RFC 8693), after checking that this is the machine meant."""
        descriptor = await self._ask("GET", f"{base}.well-known/t3/environment")
        if (
            descriptor.status != 200
            or descriptor.json(Descriptor).environment_id != self._machine.environment_id
        ):
            raise Refused("Another machine answers under this machine's host name. Nothing was sent to it.")
        url = f"{base}oauth/token"
        form = {
            "grant_type": GRANT_TYPE_TOKEN_EXCHANGE,
            "subject_token": credential,
            "subject_token_type": TOKEN_TYPE_ENVIRONMENT_BOOTSTRAP,
            "requested_token_type": TOKEN_TYPE_ACCESS_TOKEN,
            "scope": STANDARD_SCOPE,
        }
        proof = create_dpop_proof(self.key, method="POST", url=url, now=self._clock() // 1000)
        try:
            answer = await self._outbound.form(url, form, headers={"dpop": proof})
        except OutboundError as error:
            raise self._unreachable(error) from error
        if answer.status != 200:
            raise Refused(f"The machine refused its own credential (status {answer.status}). Try again.")
        token = answer.json(TokenExchangeResponse)
        if token.token_type != "DPoP":  # noqa: S105 - a scheme
            raise Refused("The machine answered with a token that is not bound to this device's key.")
        self._token = token.access_token
        self._expires_at = self._clock() + token.expires_in * 1000

    async def _ask(self, method: str, url: str) -> Response:
        try:
            return await self._outbound.request(method, url)
        except OutboundError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: OutboundError) -> ClientError:
        return Unavailable(
            f"{self._machine.label} cannot be reached ({error}). Is `doorward expose` running there?"
        )

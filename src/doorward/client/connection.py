"""From a linked machine to a session and a socket there (connect-environment §7.5).

The machine's token is bound to the device's key and lives an hour; `token()` renews it by connecting anew, which checks the
account and the approval again. While it lives the relay is not asked: a relay that is down keeps nobody out.
"""

from __future__ import annotations

import asyncio
import platform
import socket
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlsplit

import msgspec

from doorward.client.environment import STANDARD_SCOPE, Clock, EnvironmentClient, EnvironmentToken
from doorward.client.environment_tokens import EnvironmentTokens
from doorward.client.errors import ApprovalPending, ApprovalRejected, ClientError, Refused
from doorward.client.relay import RelayClient
from doorward.jose import PrivateKey, create_dpop_proof, key_phrase
from doorward.outbound import Outbound, OutboundError
from doorward.t3_connect.messages import (
    ClientMeta,
    ConnectAuthorized,
    ConnectPending,
    EnvironmentEntry,
)
from doorward.t3_connect.origins import is_secure_endpoint

__all__ = ["STANDARD_SCOPE", "MachineConnection", "Prepared", "this_device"]

_ASK_AGAIN_SECONDS = 5.0
_WAIT_TIMEOUT = 40.0
#: A cached token meets this many failures in a row before it is given up: one may be a blink of the network.
_FAILURES_TO_EVICT = 2

PENDING = "Waiting for this client to be approved in the environment settings."
REJECTED = "This client was rejected by the environment. Approve it in the environment settings to connect."


@dataclass(frozen=True)
class Prepared:
    """What opens a socket; the URL holds a ticket that is good for minutes. Secret."""

    socket_url: str

    def __repr__(self) -> str:
        return "Prepared(…)"


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
    """This device at one machine. Nothing is asked before `prepare` or `token`.

    Both raise ApprovalPending, ApprovalRejected, Refused, SignInRequired or Unavailable.
    """

    def __init__(
        self,
        outbound: Outbound,
        relay: RelayClient,
        machine: EnvironmentEntry,
        key: PrivateKey,
        *,
        clock: Clock,
        tokens: EnvironmentTokens | None = None,
    ) -> None:
        self._outbound = outbound
        self._relay = relay
        self._machine = machine
        self._clock = clock
        self._tokens = tokens or EnvironmentTokens(machine.environment_id, key.public.thumbprint)
        self._failures = 0
        self._connecting = asyncio.Lock()
        self._current = ""
        self.label = machine.label
        self.key = key
        self.key_phrase = key_phrase(key.public.thumbprint)

    async def prepare(self) -> Prepared:
        """A ticket for a socket: by the kept token where the machine still takes it, else by the whole way."""
        async with self._connecting:
            kept = self._tokens.usable(self._clock())
            if kept is not None and (prepared := await self._by(kept)) is not None:
                return prepared
            return await self._by_the_whole_way()

    async def token(self) -> str:
        """An access token of the machine with at least a minute left."""
        async with self._connecting:
            kept = self._tokens.usable(self._clock())
            if kept is None:
                await self._by_the_whole_way()
            else:
                self._current = kept.access_token
            return self._current

    def forget(self) -> None:
        """Drop the token: the machine no longer takes it."""
        self._tokens.evict()

    def proof(self, method: str, url: str) -> str:
        """A DPoP proof for one request with the token `token()` gave last."""
        return create_dpop_proof(
            self.key, method=method, url=url, now=self._clock() // 1000, access_token=self._current
        )

    async def decided(self) -> None:
        """Return when asking again is worth it: a decision fell, or the machine cannot tell us of one."""
        url = f"{self._machine.endpoint.http_base_url}gate/wait"
        body = msgspec.json.encode(_Seen(seen="pending"))
        status = "pending"
        while status == "pending":
            proof = create_dpop_proof(self.key, method="POST", url=url, now=self._clock() // 1000)
            headers = {"dpop": proof, "content-type": "application/json"}
            try:
                answer = await self._outbound.request(
                    "POST", url, headers=headers, body=body, timeout=_WAIT_TIMEOUT
                )
                status = answer.json(_ApprovalStatus).status if answer.status == 200 else "unknown"
            except OutboundError:
                status = "unknown"
        if status == "unknown":
            await asyncio.sleep(_ASK_AGAIN_SECONDS)

    async def _by(self, kept: EnvironmentToken) -> Prepared | None:
        """Ask with the kept token; None when it has to be given up."""
        machine = EnvironmentClient(self._outbound, kept.http_base_url, clock=self._clock)
        try:
            ticket = await machine.websocket_ticket(kept.access_token, self.key)
        except ClientError as error:
            if error.kind == "transient":
                self._failures += 1
                if self._failures < _FAILURES_TO_EVICT:
                    raise
            self._failures = 0
            self._tokens.evict()
            return None
        self._failures = 0
        self._current = kept.access_token
        return Prepared(socket_url(kept.ws_base_url, ticket.ticket))

    async def _by_the_whole_way(self) -> Prepared:
        authorized = await self._authorized()
        endpoint = authorized.endpoint
        if not is_secure_endpoint(endpoint.http_base_url, endpoint.ws_base_url):
            raise Refused(
                "The relay names an address of the machine that is not secure.", reason="configuration"
            )
        machine = EnvironmentClient(self._outbound, endpoint.http_base_url, clock=self._clock)
        await machine.descriptor(self._machine.environment_id)
        token = await machine.exchange(authorized.credential, self.key)
        ticket = await machine.websocket_ticket(token.access_token, self.key)
        self._current = token.access_token
        # Only now: a token that opens nothing would be tried before the whole way every time.
        self._tokens.keep(
            EnvironmentToken(
                environment_id=self._machine.environment_id,
                label=self._machine.label,
                http_base_url=endpoint.http_base_url,
                ws_base_url=endpoint.ws_base_url,
                access_token=token.access_token,
                expires_at_epoch_ms=self._clock() + token.expires_in * 1000,
                dpop_thumbprint=self.key.public.thumbprint,
            )
        )
        return Prepared(socket_url(endpoint.ws_base_url, ticket.ticket))

    async def _authorized(self) -> ConnectAuthorized:
        answer = await self._relay.connect(self._machine, self.key, this_device())
        if not isinstance(answer, ConnectPending):
            return answer
        raise ApprovalRejected(REJECTED) if answer.approval_status == "rejected" else ApprovalPending(PENDING)


def socket_url(ws_base_url: str, ticket: str) -> str:
    """Where a socket is opened: at `/ws` unless the address names a path of its own."""
    parts = urlsplit(ws_base_url)
    path = "/ws" if parts.path in ("", "/") else parts.path
    return parts._replace(path=path, query=f"wsTicket={quote(ticket, safe='')}").geturl()

"""A device without a browser or terminal: its key, and what it asks of relay, machine and service."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import httpx

from doorward.client.configuration import CLI_CLIENT_ID
from doorward.client.connection import STANDARD_SCOPE, MachineConnection, this_device
from doorward.client.relay import RelayClient
from doorward.jose import PrivateKey, create_dpop_proof, generate_key
from doorward.outbound import Outbound, Response
from doorward.store import system_clock
from doorward.t3_connect.messages import (
    GRANT_TYPE_TOKEN_EXCHANGE,
    TOKEN_TYPE_ACCESS_TOKEN,
    TOKEN_TYPE_ENVIRONMENT_BOOTSTRAP,
    ConnectAuthorized,
    ConnectPending,
    EnvironmentEntry,
)


def relay_client(outbound: Outbound, relay_url: str, access_token: str) -> RelayClient:
    """A client of the relay for whoever holds the account's token."""

    async def account_token() -> str:
        return access_token

    return RelayClient(
        outbound,
        relay_url=relay_url,
        client_id=CLI_CLIENT_ID,
        account_token=account_token,
        clock=system_clock,
    )


class Device:
    """One key of one account at one machine. `access_token` is the account's."""

    def __init__(
        self, outbound: Outbound, relay_url: str, access_token: str, machine: EnvironmentEntry
    ) -> None:
        self.key: PrivateKey = generate_key("ES256")
        self.thumbprint = self.key.public.thumbprint
        self.machine = machine
        self.relay = relay_client(outbound, relay_url, access_token)
        self.connection = MachineConnection(outbound, self.relay, machine, self.key, clock=system_clock)
        self._outbound = outbound
        self._relay_url = relay_url
        self._access_token = access_token

    async def knock(self) -> ConnectAuthorized | ConnectPending:
        """Ask the relay to be let in."""
        return await self.relay.connect(self.machine, self.key, this_device())

    async def redeem(self, credential: str) -> Response:
        """Exchange a credential for a session at the machine, with a proof of its own."""
        url = f"{self.machine.endpoint.http_base_url}oauth/token"
        form = {
            "grant_type": GRANT_TYPE_TOKEN_EXCHANGE,
            "subject_token": credential,
            "subject_token_type": TOKEN_TYPE_ENVIRONMENT_BOOTSTRAP,
            "requested_token_type": TOKEN_TYPE_ACCESS_TOKEN,
            "scope": STANDARD_SCOPE,
        }
        return await self._outbound.form(url, form, headers={"dpop": self.proof(url)})

    def proof(self, url: str) -> str:
        return create_dpop_proof(self.key, method="POST", url=url, now=system_clock() // 1000)

    @property
    def relay_token_url(self) -> str:
        return f"{self._relay_url}/v1/client/dpop-token"

    async def relay_token(self, proof: str) -> Response:
        """Exchange the account's token for a relay token bound to this key, with this very proof."""
        form = {
            "grant_type": GRANT_TYPE_TOKEN_EXCHANGE,
            "subject_token": self._access_token,
            "subject_token_type": TOKEN_TYPE_ACCESS_TOKEN,
            "requested_token_type": TOKEN_TYPE_ACCESS_TOKEN,
            "resource": self._relay_url,
            "scope": "environment:connect",
            "client_id": CLI_CLIENT_ID,
        }
        return await self._outbound.form(self.relay_token_url, form, headers={"dpop": proof})

    @contextlib.asynccontextmanager
    async def opened(self, service: str, path: str) -> AsyncIterator[httpx.Response]:
        """A streaming GET of the service through the edge, as an approved program sends it."""
        origin = httpx.URL(service)
        token = await self.connection.token()
        headers = {
            "host": origin.netloc.decode(),
            "doorward-authorization": f"DPoP {token}",
            "doorward-dpop": self.connection.proof("GET", f"{service}{path}"),
        }
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{origin.port}", timeout=30) as client,
            client.stream("GET", path, headers=headers) as response,
        ):
            yield response

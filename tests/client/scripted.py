"""A relay and a machine that say their lines: for what the real ones cannot be brought to say.

One origin plays both, on a real socket, with the wire's own structs. Each path has an answer; a test puts another in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from doorward.client.connection import MachineConnection
from doorward.client.environment_tokens import EnvironmentTokens
from doorward.client.relay import RelayClient
from doorward.jose import PrivateKey, generate_key, sign_jwt
from doorward.outbound import Outbound
from doorward.store import system_clock
from doorward.t3_connect.messages import Endpoint, EnvironmentEntry
from tests.environment_gate.machine import bound_socket, serving

Answer = Callable[[Request], Awaitable[Response] | Response]
ISSUER = generate_key("EdDSA")


def account_token(subject: str | None = "user_ada", number: int = 1) -> str:
    """An access token of the accounts server; each number is another token of the same account."""
    claims: dict[str, Any] = {"iat": int(time.time()), "jti": str(number)}
    return sign_jwt(claims if subject is None else {**claims, "sub": subject}, ISSUER, typ="at+jwt")


def json_answer(status: int = 200, /, **members: Any) -> Answer:
    return lambda _: Response(msgspec.json.encode(members), status, media_type="application/json")


class Scripted:
    """`calls` are the paths asked, in order; `answers` what each path says."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://play.localhost:{port}"
        self.calls: list[str] = []
        self.credentials: list[str] = []
        self.machine = self.entry("box")
        token = {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "DPoP"}
        self.answers: dict[str, Answer] = {
            "/v1/client/dpop-token": self._relay_token,
            "/v1/environments/box/connect": json_answer(
                environmentId="box",
                endpoint=msgspec.to_builtins(self.machine.endpoint),
                credential="credential",
                expiresAt="2026-11-20T12:00:00.000Z",
            ),
            "/.well-known/t3/environment": json_answer(**descriptor("box")),
            "/oauth/token": json_answer(access_token="session", expires_in=3600, scope="x", **token),
            "/api/auth/websocket-ticket": json_answer(ticket="ticket", expiresAt="2026-11-20T12:00:00.000Z"),
        }
        #: What a socket says to each request in turn: an exit, None for silence, or "hang up". The last counts for ever.
        self.exits: list[Any] = [{"_tag": "Success", "value": {}}]
        self.sockets: list[str] = []
        self._relay_tokens = 0

    def entry(self, environment_id: str) -> EnvironmentEntry:
        return EnvironmentEntry(
            environment_id=environment_id,
            label="Box",
            endpoint=Endpoint(
                http_base_url=f"{self.origin}/",
                ws_base_url=f"ws{self.origin.removeprefix('http')}/",
                provider_kind="cloudflare_tunnel",
            ),
            linked_at="2026-11-20T12:00:00.000Z",
        )

    def status(self, environment_id: str, **changes: Any) -> dict[str, Any]:
        return {
            "environmentId": environment_id,
            "endpoint": msgspec.to_builtins(self.machine.endpoint),
            "status": "online",
            "checkedAt": "2026-11-20T12:00:00.000Z",
            "descriptor": descriptor(environment_id),
            **changes,
        }

    async def _relay_token(self, request: Request) -> Response:
        self._relay_tokens += 1
        form = dict(pair.split("=", 1) for pair in (await request.body()).decode().split("&"))
        answer = json_answer(
            access_token=f"relay-{self._relay_tokens}",
            issued_token_type="urn:ietf:params:oauth:token-type:access_token",
            token_type="DPoP",
            expires_in=1800,
            scope=form["scope"].replace("%3A", ":").replace("+", " "),
        )
        return answer(request)  # type: ignore[return-value]

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        self.calls.append(path)
        self.credentials.append(request.headers.get("authorization", ""))
        found = self.answers[path](request)
        return found if isinstance(found, Response) else await found

    async def socket(self, websocket: WebSocket) -> None:
        self.sockets.append(websocket.query_params["wsTicket"])
        await websocket.accept()
        async for text in websocket.iter_text():
            asked = msgspec.json.decode(text)
            assert (asked["_tag"], asked["tag"]) == ("Request", "server.getConfig")
            said = self.exits.pop(0) if len(self.exits) > 1 else self.exits[0]
            if said == "hang up":
                await websocket.close()
                return
            if said is not None:
                frame = {"_tag": "Exit", "requestId": asked["id"], "exit": said}
                await websocket.send_text(msgspec.json.encode(frame).decode())

    def count(self, path: str) -> int:
        return self.calls.count(path)


def descriptor(environment_id: str) -> dict[str, Any]:
    return {
        "environmentId": environment_id,
        "label": "Box",
        "platform": {"os": "linux", "arch": "x64"},
        "serverVersion": "0.1.0",
        "capabilities": {},
    }


@contextlib.asynccontextmanager
async def scripted() -> AsyncIterator[Scripted]:
    listener = bound_socket()
    play = Scripted(listener.getsockname()[1])
    routes = [WebSocketRoute("/ws", play.socket), Route("/{path:path}", play.answer, methods=["GET", "POST"])]
    app = Starlette(routes=routes)
    async with serving(app, bound=listener):
        yield play


class Device:
    """A client of the play. `account` is the token the person's sign-in gives now; `exchanges` counts its uses for a relay token."""

    def __init__(self, play: Scripted, outbound: Outbound) -> None:
        self.outbound = outbound
        self.account = account_token()
        self.exchanges = 0
        self.key: PrivateKey = generate_key("ES256")
        self.tokens = EnvironmentTokens("box", self.key.public.thumbprint)
        self.relay = RelayClient(
            outbound,
            relay_url=play.origin,
            client_id="doorward-cli",
            account_token=self._account_token,
            recent_account_token=self._recent_account_token,
            clock=system_clock,
        )
        self.connection = MachineConnection(
            outbound, self.relay, play.machine, self.key, clock=system_clock, tokens=self.tokens
        )

    async def _account_token(self) -> str:
        return self.account

    async def _recent_account_token(self) -> str:
        self.exchanges += 1
        await asyncio.sleep(0)
        return self.account

"""A relay that says its lines: the peer of the reconcile, on a real socket, with the wire's own structs."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.jose import generate_key, peek_claims
from doorward.t3_connect.messages import Endpoint, LinkChallengeResponse, LinkResponse, ServiceRegistration


class Asked(msgspec.Struct):
    """One request of the machine's as it arrived."""

    headers: dict[str, str]
    body: Any


class ScriptedRelay:
    def __init__(self) -> None:
        self.url = ""
        self.key = generate_key("EdDSA")
        self.is_down = False
        self.environment_id_in_answer: str | None = None
        self.endpoint_runtime: Any = None
        self.has_names = True
        self.bearers: set[str] = set()
        self.proofs: list[dict[str, Any]] = []
        self.asked: list[Asked] = []
        self.deleted: list[str] = []
        self.refreshes: list[str] = []

    def routes(self) -> list[Route]:
        return [
            Route("/v1/client/environment-link-challenges", self.challenge, methods=["POST"]),
            Route("/v1/client/environment-links", self.link, methods=["POST"]),
            Route("/v1/client/environment-links/{id}", self.unlink, methods=["DELETE"]),
            Route("/v1/environments/{id}/services/{name}", self.claim, methods=["PUT", "DELETE"]),
            Route("/oauth/token", self.refresh, methods=["POST"]),
        ]

    async def challenge(self, request: Request) -> Response:
        if self.is_down:
            return Response(status_code=503)
        self.bearers.add(request.headers["authorization"])
        self.asked.append(Asked(dict(request.headers), await request.json()))
        return _json(LinkChallengeResponse(challenge="challenge-1", expires_at="2026-11-20T12:00:00.000Z"))

    async def link(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(Asked(dict(request.headers), body))
        proof = peek_claims(body["proof"], dict)
        assert proof["challenge"] == "challenge-1"
        self.proofs.append(proof)
        host = "box-0123456789abcdef.env.localhost:8080"
        return _json(
            LinkResponse(
                ok=True,
                cloud_user_id="user_owner",
                environment_id=self.environment_id_in_answer or proof["environmentId"],
                endpoint=Endpoint(
                    http_base_url=f"http://{host}/",
                    ws_base_url=f"ws://{host}/ws",
                    provider_kind="cloudflare_tunnel",
                ),
                endpoint_runtime=self.endpoint_runtime,
                relay_issuer=self.url,
                environment_credential="t3env_secret",
                cloud_mint_public_key=self.key.public.to_pem(),
            )
        )

    async def unlink(self, request: Request) -> Response:
        self.deleted.append(request.path_params["id"])
        return Response(b'{"ok":true}', media_type="application/json")

    async def claim(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer t3env_secret"
        if not self.has_names:
            return Response(status_code=404)
        name = request.path_params["name"]
        if name == "taken":
            return Response(b'{"code":"name_taken"}', 409, media_type="application/json")
        hostname = f"{name}.env.localhost"
        return _json(ServiceRegistration(name=name, hostname=hostname, url=f"http://{hostname}:8080/"))

    async def refresh(self, request: Request) -> Response:
        form = dict(pair.split("=", 1) for pair in (await request.body()).decode().split("&"))
        assert form["grant_type"] == "refresh_token"
        self.refreshes.append(form["refresh_token"])
        return Response(
            b'{"access_token":"access-refreshed","token_type":"Bearer","expires_in":86400}',
            media_type="application/json",
        )


@contextlib.asynccontextmanager
async def scripted_relay() -> AsyncIterator[ScriptedRelay]:
    relay = ScriptedRelay()
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        relay.url = f"http://localhost:{listener.getsockname()[1]}"
        config = uvicorn.Config(Starlette(routes=relay.routes()), lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.005)
        try:
            yield relay
        finally:
            server.should_exit = True
            await task


def _json(value: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")

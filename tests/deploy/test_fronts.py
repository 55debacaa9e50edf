"""HAProxy and Caddy, the real programs with our configuration: requests, WebSockets and tunnels go through them."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from doorward.listening import bind, serving
from tests.deploy.fronts import ACCOUNTS, RELAY, ZONE, Behind, Front, caddy, haproxy
from tests.e2e.certificates import Certificates, issue
from tests.tunnel.carriers import Registry, to_origin

pytestmark = pytest.mark.anyio

APP = f"app.{ZONE}"
StartFront = Callable[[Behind, Certificates, Path], AbstractAsyncContextManager[Front]]


class FrontedRegistry(Registry):
    """An edge whose public origin is the front's."""

    front_port = 0

    @property
    def origin(self) -> str:
        return f"https://edge.{ZONE}:{self.front_port}"


class Installation:
    """A control plane that tells what reached it, an edge with a machine behind the front, and a visitor."""

    def __init__(self, front: Front, trust: ssl.SSLContext) -> None:
        self.front = front
        self.trust = trust

    async def control(self, host: str, headers: dict[str, str]) -> dict[str, Any]:
        scheme = "https" if self.front.control_is_tls else "http"
        async with httpx.AsyncClient(verify=self.trust, trust_env=False) as client:
            answer = await client.get(
                f"{scheme}://127.0.0.1:{self.front.control_port}/where",
                headers={"host": f"{host}:{self.front.control_port}", **headers},
                extensions={"sni_hostname": host},
            )
        assert answer.status_code == 200
        told: dict[str, Any] = answer.json()
        return told

    def chat(self) -> websockets.connect:
        return websockets.connect(
            f"wss://{APP}:{self.front.port}/chat", host="127.0.0.1", ssl=self.trust, proxy=None
        )


async def tell(scope: Any, receive: Any, send: Any) -> None:
    """The control plane: what of a request counts."""
    told = {
        "headers": {name.decode(): value.decode() for name, value in scope["headers"]},
        "client": scope["client"][0],
        "scheme": scope["scheme"],
    }
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


async def echo(socket: websockets.ServerConnection) -> None:
    async for message in socket:
        await socket.send(message)


@pytest.fixture(params=[haproxy, caddy], ids=["haproxy", "caddy"])
async def installation(
    request: pytest.FixtureRequest, anyio_backend: str, tmp_path: Path
) -> AsyncIterator[Installation]:
    start: StartFront = request.param
    certificates = issue(tmp_path, [ACCOUNTS, RELAY, f"*.{ZONE}"])
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(bind("127.0.0.1", 0, option=""))
        await stack.enter_async_context(serving(tell, listener, trusted_proxies=["127.0.0.1"]))
        service = await stack.enter_async_context(websockets.serve(echo, "127.0.0.1", 0, max_size=None))
        registry = await stack.enter_async_context(FrontedRegistry((APP,)))
        await registry.start_edge(trusted_proxies=["127.0.0.1"])
        behind = Behind(f"127.0.0.1:{listener.getsockname()[1]}", (f"127.0.0.1:{registry.port}",))
        front = await stack.enter_async_context(start(behind, certificates, tmp_path))
        registry.front_port = front.port
        assert registry.edge is not None
        registry.edge.origin = registry.origin
        router = to_origin(service.sockets[0].getsockname()[1])
        await stack.enter_async_context(registry.connector(router=router, ca_file=certificates.authority))
        yield Installation(front, ssl.create_default_context(cafile=str(certificates.authority)))


async def test_control_hosts_learn_who_asks_from_the_front_and_from_nobody_else(
    installation: Installation,
) -> None:
    for host in (ACCOUNTS, RELAY):
        told = await installation.control(
            host, {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "ftp", "authorization": "DPoP abc"}
        )
        assert told["client"] == "127.0.0.1"
        assert told["scheme"] == ("https" if installation.front.control_is_tls else "http")
        assert told["headers"]["host"] == f"{host}:{installation.front.control_port}"
        assert told["headers"]["authorization"] == "DPoP abc"


async def test_a_machine_dials_in_and_its_websockets_go_through(installation: Installation) -> None:
    async with installation.chat() as chat:
        for message in ("hello", b"\x00" * 1_000_000):
            await chat.send(message)
            assert await asyncio.wait_for(chat.recv(), 60) == message

"""Where the relay can be made to send something: the machines' endpoints and the accounts server's keys."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from doorward.server.tls import ensure_local_authority, server_context
from tests.relay.conftest import OpenWorld
from tests.relay.foreign import Answer
from tests.relay.servers import listen, serve
from tests.relay.world import World

pytestmark = pytest.mark.anyio

ZONE = "machines.example.test"
OFFLINE = "Managed endpoint health request failed."


class Resolver:
    """The DNS of the machines' zone: one list of addresses per question, the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: list[list[str]] = []
        self.questions: list[str] = []
        loop = asyncio.get_running_loop()
        self._system = loop.getaddrinfo
        monkeypatch.setattr(loop, "getaddrinfo", self.resolve, raising=False)

    async def resolve(self, host: Any, port: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not name.endswith(ZONE):
            return await self._system(host, port, **more)
        self.questions.append(name)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in addresses
        ]


@pytest.fixture
async def resolver(anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


@asynccontextmanager
async def somebody(folder: Path) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A service of our own network, TLS with a certificate of its own name: (port, what arrived after the greeting)."""
    arrived: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.append(await reader.read(1000))
        writer.close()

    context = server_context(*ensure_local_authority(folder).leaf(["inside.localhost"]))
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], arrived


async def outcomes(world: World) -> tuple[str, str]:
    """What status and connect say of the linked machine."""
    status = await world.status()
    connect = await world.connect()
    assert (status.status_code, connect.status_code) == (200, 502)
    assert status.json()["status"] == "offline"
    return status.json()["error"], connect.json()["reason"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
async def test_a_name_that_leads_inside_is_not_even_dialled(
    open_wire: OpenWorld, resolver: Resolver, address: str
) -> None:
    """Which addresses are inside is the matter of tests/outbound; here, that the relay asks."""
    dialled = 0

    async def count(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dialled
        dialled += 1
        writer.close()

    async with await asyncio.start_server(count, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = {"zone": ZONE, "endpoint_scheme": "https", "endpoint_port": port}
        strict = await open_wire(**settings, endpoint_addresses="public")
        await strict.link()
        for addresses in ([address], ["93.184.215.14", address]):
            resolver.answers = [addresses]
            assert await outcomes(strict) == (OFFLINE, "endpoint_request_failed")
        assert (len(resolver.questions), dialled) == (4, 0)
        lenient = await open_wire(**settings)
        await lenient.link()
        resolver.answers = [[address]]
        await outcomes(lenient)
        assert dialled >= 2


async def test_a_second_answer_of_the_dns_is_never_asked_for(
    open_wire: OpenWorld, resolver: Resolver, tmp_path: Path
) -> None:
    """Public when it is checked, this machine when it is dialled: the checked address is dialled."""
    async with somebody(tmp_path) as (port, arrived):
        world = await open_wire(
            zone=ZONE,
            endpoint_scheme="https",
            endpoint_port=port,
            endpoint_addresses="public",
            environment_timeout=0.5,
        )
        await world.link()
        resolver.answers = [["192.0.0.9"], ["127.0.0.1"]]
        connect = await world.connect()
        assert connect.status_code in (502, 504)
        assert len(resolver.questions) == 1
    assert arrived == []


async def test_whoever_answers_without_a_certificate_for_the_name_hears_nothing(
    open_wire: OpenWorld, resolver: Resolver, tmp_path: Path
) -> None:
    """Also where private addresses are allowed, because the edge may be there."""
    async with somebody(tmp_path) as (port, arrived):
        world = await open_wire(zone=ZONE, endpoint_scheme="https", endpoint_port=port)
        await world.link()
        resolver.answers = [["127.0.0.1"]]
        assert await outcomes(world) == (OFFLINE, "endpoint_request_failed")
        assert resolver.questions
    assert [text for text in arrived if text] == []


async def test_plain_http_reaches_no_name_but_localhost(open_wire: OpenWorld, resolver: Resolver) -> None:
    world = await open_wire(zone=ZONE, endpoint_scheme="https")
    await world.link()
    # As if the operator had changed the scheme, and the rows with it.
    await world.execute(
        "UPDATE relay_environment_links SET"
        " endpoint_http_base_url = replace(endpoint_http_base_url, 'https:', 'http:'),"
        " endpoint_ws_base_url = replace(endpoint_ws_base_url, 'wss:', 'ws:')"
    )
    await world.restart(endpoint_scheme="http")
    assert await outcomes(world) == (OFFLINE, "endpoint_request_failed")
    assert resolver.questions == []


@pytest.mark.parametrize(
    "endpoint",
    ["http://169.254.169.254/", "https://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://inside.corp/"],
)
async def test_an_endpoint_a_machine_names_itself_is_never_asked(wire: World, endpoint: str) -> None:
    proof = wire.environment.link_proof(
        await wire.challenge(managedTunnelsEnabled=False),
        endpoint={
            "httpBaseUrl": endpoint,
            "wsBaseUrl": endpoint.replace("http", "ws", 1) + "ws",
            "providerKind": "cloudflare_tunnel",
        },
    )
    assert (await wire.post_link(proof, managedTunnelsEnabled=False)).status_code == 200
    for answer in (await wire.connect(), await wire.status()):
        assert (answer.status_code, answer.json()["reason"]) == (403, "managed_endpoint_allocation_not_found")
    # With an endpoint of ours from an earlier link, the two disagree, and nothing is sent either.
    await wire.link()
    second = wire.environment.link_proof(
        await wire.challenge(managedTunnelsEnabled=False),
        endpoint={
            "httpBaseUrl": endpoint,
            "wsBaseUrl": endpoint.replace("http", "ws", 1) + "ws",
            "providerKind": "cloudflare_tunnel",
        },
    )
    assert (await wire.post_link(second, managedTunnelsEnabled=False)).status_code == 200
    assert (await wire.connect()).status_code == 403
    assert wire.environment.received == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_of_a_health_answer_leads_nowhere(wire: World, status: int) -> None:
    await wire.link()
    async with counting() as (port, visits):
        location = f"http://inside.localhost:{port}/".encode()
        wire.environment.answer_health = redirect_to(status, location)
        assert (await wire.status()).json()["error"] == OFFLINE
        assert visits == []


def redirect_to(status: int, location: bytes) -> Callable[[dict[str, Any]], Answer]:
    return lambda _request: (status, b"", [(b"location", location)])


@asynccontextmanager
async def counting() -> AsyncIterator[tuple[int, list[str]]]:
    visits: list[str] = []

    async def target(scope: Any, receive: Any, send: Any) -> None:
        visits.append(scope["path"])

    listener = listen()
    async with serve((target, listener)):
        yield listener.getsockname()[1], visits
    listener.close()


async def test_a_redirect_of_the_key_set_leads_nowhere(open_wire: OpenWorld) -> None:
    async with counting() as (port, visits):

        async def moved(scope: Any, receive: Any, send: Any) -> None:
            location = f"http://inside.localhost:{port}/jwks.json".encode()
            await send({"type": "http.response.start", "status": 302, "headers": [(b"location", location)]})
            await send({"type": "http.response.body", "body": b""})

        keys = listen()
        async with serve((moved, keys)):
            world = await open_wire(jwks_url=f"http://keys.localhost:{keys.getsockname()[1]}/jwks.json")
            answer = await world.http.get("/v1/environments", headers=world.bearer())
        keys.close()
        assert (answer.status_code, answer.json()["reason"]) == (500, "upstream_unavailable")
        assert visits == []


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/jwks.json",
        "http://[::ffff:169.254.169.254]/jwks.json",
        "http://10.0.0.1/jwks.json",
        "file:///etc/passwd",
        "ftp://keys.localhost/",
    ],
)
async def test_a_key_set_is_fetched_by_https_or_from_this_machine(open_wire: OpenWorld, url: str) -> None:
    world = await open_wire(jwks_url=url)
    answer = await world.http.get("/v1/environments", headers=world.bearer())
    assert (answer.status_code, answer.json()["reason"]) == (500, "upstream_unavailable")

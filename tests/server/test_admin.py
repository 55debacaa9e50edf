"""The admin listener: health from before a node starts until it is gone, and metrics of everything it does."""

import asyncio
import os
import re
import signal
import socket
from pathlib import Path

import httpx
import pytest

from doorward.listening import CannotListen
from doorward.metering import SECONDS, Counter, Histogram
from doorward.server.configuration import ConfigurationInvalid, admin_address, load_serve_configuration
from doorward.server.serve import running_server
from doorward.server.supervision import tell_supervisor
from tests.server.nodes import ServedNode

pytestmark = pytest.mark.anyio


@pytest.fixture
def node(tmp_path: Path) -> ServedNode:
    return ServedNode(tmp_path)


async def ready(client: httpx.AsyncClient, node: ServedNode, role: str = "") -> tuple[int, dict[str, object]]:
    answer = await client.get(f"{node.admin}/health/ready{role}")
    return answer.status_code, answer.json()


async def page_at_rest(client: httpx.AsyncClient, node: ServedNode) -> str:
    """The metrics, once the node's own work, such as making the key that signs next, leaves the database alone."""
    async with asyncio.timeout(60):
        while True:
            page = (await client.get(f"{node.admin}/metrics")).text
            if all(f'database_in_progress{{kind="{kind}"}} 0.0' in page for kind in ("read", "write")):
                return page


async def test_a_node_tells_of_itself(node: ServedNode) -> None:
    async with (
        running_server(load_serve_configuration(node.config)) as running,
        httpx.AsyncClient() as client,
    ):
        assert (await client.get(f"{node.admin}/health/live")).json() == {"live": True}
        everything = {"identity": "ready", "relay": "ready", "edge": "ready"}
        assert await ready(client, node) == (200, {"ready": True, "roles": everything})
        assert (await ready(client, node, "/edge"))[0] == 200
        assert (await client.get(f"{node.admin}/health/ready/nobody")).status_code == 404
        assert (await client.post(f"{node.admin}/metrics")).status_code == 405

        relay = {"host": f"relay.localhost:{node.control_port}"}
        control = f"http://127.0.0.1:{node.control_port}"
        for path in ("/health", "/health", "/v1/nothing-here/with-a-secret"):
            await client.get(control + path, headers=relay)
        await client.post(f"{control}/v1/environments/env-1/connect", headers=relay)
        accounts = {"host": f"accounts.localhost:{node.control_port}"}
        await client.get(f"{control}/v1/environment/", headers=accounts)
        await client.get(f"http://127.0.0.1:{node.edge_port}/", headers={"host": "x.machines.localhost"})
        page = await page_at_rest(client, node)
        assert (
            'doorward_http_requests_total{method="GET",role="relay",route="/health",status="200"} 2.0' in page
        )
        assert 'role="relay",route="unmatched",status="404"} 1.0' in page
        assert 'role="relay",route="/v1/environments/{environmentId}/connect",status="401"} 1.0' in page
        assert 'role="identity",route="/v1/environment",status="200"} 1.0' in page
        assert "with-a-secret" not in page
        assert "doorward_edge_tunnels 0.0" in page
        assert 'doorward_edge_bytes_total{direction="to_machines"} 0.0' in page
        assert 'doorward_edge_requests_missed_total{reason="unknown_host"} 1.0' in page
        assert re.search(r'doorward_build_info\{roles="identity,relay,edge",version="[\d.]+', page)
        assert re.search(r'doorward_database_seconds_bucket\{kind="read",le="\+Inf"\} [1-9]', page)
        assert "doorward_mails_waiting 0.0" in page
        assert "process_resident_memory_bytes" in page

        await running.database.close()
        status, told = await ready(client, node)
        assert status == 503
        assert told["roles"] == dict.fromkeys(everything, "database_closed")
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient() as client:
            await client.get(f"{node.admin}/health/live")


async def test_a_stopping_node_says_so_before_it_is_gone(node: ServedNode) -> None:
    """SIGTERM while a slow request is open: not ready, still answering, then a clean end."""
    program = node.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", node.control_port)
        host = f"Host: relay.localhost:{node.control_port}\r\n".encode()
        head = b"POST /v1/client/dpop-token HTTP/1.1\r\n" + host
        form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 20\r\n\r\n"
        writer.write(head + form + b"half=the&bo")
        await writer.drain()
        async with httpx.AsyncClient() as client:
            assert (await ready(client, node))[0] == 200
            os.kill(program.process.pid, signal.SIGTERM)
            async with asyncio.timeout(60):
                answer = await ready(client, node)
                while answer[0] == 200:
                    answer = await ready(client, node)
            assert answer[1]["roles"] == {"identity": "stopping", "relay": "stopping", "edge": "stopping"}
        writer.write(b"dy=later1")
        assert (await asyncio.wait_for(reader.readline(), 60)).startswith(b"HTTP/1.1 4")
        writer.close()
        assert program.finish() == 0
    finally:
        if program.process.poll() is None:
            program.kill()


async def test_a_taken_port_is_told(node: ServedNode) -> None:
    text = node.config.read_text().replace(f":{node.admin_port}", f":{node.control_port}")
    node.config.write_text(text)
    with pytest.raises(CannotListen, match=r"admin\.listen"):
        async with running_server(load_serve_configuration(node.config)):
            pass
    assert not (node.data / "doorward.sqlite").exists()


@pytest.mark.parametrize("text", ["0.0.0.0:9090", "[::]:9090", "8.8.8.8:9090", "metrics.example.com:9090"])
def test_it_is_never_public(text: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="must not be public"):
        admin_address(text)


@pytest.mark.parametrize("text", ["127.0.0.1:9090", "10.1.2.3:9090", "[::1]:9090", "[fd00::1]:9090"])
def test_loopback_and_private_addresses_are_taken(text: str) -> None:
    assert admin_address(text)[1] == 9090


def test_counts_add_up() -> None:
    counter, histogram = Counter("c", "", ("outcome",)), Histogram("h", "")
    counter.add("ok")
    counter.add("ok", amount=2)
    assert (counter.value("ok"), counter.value("never")) == (3, 0)
    for seconds in (0.0005, SECONDS[0], 0.3, 60.0):
        histogram.observe(seconds)
    value = histogram.values[()]
    assert (value.counts[0], value.counts[SECONDS.index(0.5)], value.counts[-1]) == (2, 1, 1)
    assert value.sum == pytest.approx(60.3015)


def test_systemd_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(path)
        listening.settimeout(30)
        tell_supervisor("READY=1", {"NOTIFY_SOCKET": path})
        assert listening.recv(100) == b"READY=1"
        tell_supervisor("READY=1", {"NOTIFY_SOCKET": f"{path}-gone"})
        tell_supervisor("READY=1", {})

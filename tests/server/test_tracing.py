"""Traces of a real connect: client, relay and environment, joined by `traceparent`, without what opens doors."""

import asyncio
import contextlib
import http.server
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from doorward import spans
from doorward.client.relay import RelayClient
from doorward.jose import generate_key
from doorward.outbound import Outbound
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.server.tracing import collecting, tracing
from doorward.server.up import UpOptions, running_up
from doorward.store import open_database, system_clock
from doorward.t3_connect.messages import ClientMeta, ConnectPending
from tests import databases
from tests.conftest import ClockForTests
from tests.e2e.accounts import Account
from tests.e2e.processes import command
from tests.ports import free_ports
from tests.relay.world import World, open_world

pytestmark = pytest.mark.anyio

Spans = dict[str, ReadableSpan]


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    found = InMemorySpanExporter()
    with collecting(SimpleSpanProcessor(found), "test"):
        yield found


@pytest.fixture
async def traced_world(
    anyio_backend: str, exporter: InMemorySpanExporter, clock: ClockForTests, tmp_path: Path
) -> AsyncIterator[World]:
    database = await open_database(databases.new_sqlite(tmp_path, [RELAY_SCHEMA]), schemas=[RELAY_SCHEMA])
    async with open_world(database, clock, tmp_path) as world:
        await world.link()
        exporter.clear()
        yield world
    await database.close()


def finished(exporter: InMemorySpanExporter, *, server_of: str | None = None) -> list[ReadableSpan]:
    """The spans that ended; with `server_of`, the server span of that path and those below it, outermost first."""
    found = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
    if server_of is None:
        return found
    root = next(span for span in found if attributes(span).get("url.path") == server_of)
    chosen = [root]
    for span in found:
        if span.parent is not None and span.parent.span_id in {one.context.span_id for one in chosen}:
            chosen.append(span)
    return chosen


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def outline(found: list[ReadableSpan]) -> list[tuple[str, str | None]]:
    """Each span's name with its parent's, where that is among them."""
    names = {span.context.span_id: span.name for span in found}
    return [(span.name, names.get(span.parent.span_id) if span.parent else None) for span in found]


@pytest.mark.conformance("connect-relay", 144, 145)
async def test_a_request_is_a_server_span_with_its_route_below_it(
    traced_world: World, exporter: InMemorySpanExporter
) -> None:
    token = await traced_world.token()
    answer = await traced_world.connect(token)
    assert answer.status_code == 200
    found = finished(exporter, server_of="/v1/environments/env-1/connect")
    assert outline(found) == [
        ("http.server POST", None),
        ("relay.api.connect.connect", "http.server POST"),
        ("relay.auth.dpop_client", "relay.api.connect.connect"),
        ("relay.dpop_proofs.verify_and_consume", "relay.api.connect.connect"),
        ("relay.environment_connector.connect", "relay.api.connect.connect"),
        ("relay.environment_connector.resolve_managed_endpoint", "relay.environment_connector.connect"),
        ("http.client POST", "relay.environment_connector.connect"),
    ]
    server, route = found[0], found[1]
    assert server.kind.name == "SERVER"
    assert server.parent is None
    told = attributes(server)
    assert told["http.request.method"] == "POST"
    assert told["http.route"] == "/v1/environments/{environmentId}/connect"
    assert told["http.response.status_code"] == 200
    assert told["http.request.header.authorization"] == "<redacted>"
    assert told["http.request.header.dpop"] == "<redacted>"
    assert told["http.request.header.content-type"] == "application/json"
    assert attributes(route)["relay.environment_id"] == "env-1"
    assert (
        answer.headers["traceparent"] == f"00-{server.context.trace_id:032x}-{server.context.span_id:016x}-01"
    )
    everything = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert token not in everything
    assert answer.json()["credential"] not in everything
    assert "eyJ" not in everything


@pytest.mark.conformance("connect-relay", 146)
async def test_a_failure_carries_the_tag_and_the_fields_of_its_answer(
    traced_world: World, exporter: InMemorySpanExporter
) -> None:
    answer = await traced_world.http.post(
        "/v1/environments/env-1/connect", headers={"authorization": "DPoP nonsense"}
    )
    assert answer.status_code == 401
    server, route, *_ = finished(exporter, server_of="/v1/environments/env-1/connect")
    assert route.status.status_code.name == "ERROR"
    assert attributes(route).items() >= {
        "error.type": "RelayAuthInvalidError", "error.code": "auth_invalid", "error.reason": "invalid_bearer"
    }.items()  # fmt: skip
    assert attributes(server)["http.response.status_code"] == 401
    assert "nonsense" not in "".join(span.to_json() for span in exporter.get_finished_spans())


@pytest.mark.conformance("connect-relay", 145)
@pytest.mark.parametrize("header", ["traceparent", "b3"])
async def test_a_caller_s_span_is_the_parent_and_nothing_else_is(
    anyio_backend: str, exporter: InMemorySpanExporter, clock: ClockForTests, tmp_path: Path, header: str
) -> None:
    trace, parent = "8f14e45fceea167a5a36dedd4bea2543", "00f067aa0ba902b7"
    value = f"00-{trace}-{parent}-01" if header == "traceparent" else f"{trace}-{parent}-1"
    database = await open_database(databases.new_sqlite(tmp_path, [RELAY_SCHEMA]), schemas=[RELAY_SCHEMA])
    # The server is started inside a span, which all of its tasks are then in: a request has nothing to do with that.
    with spans.span("build"):
        async with open_world(database, clock, tmp_path) as world:
            await world.http.get("/health", headers={header: value})
            await world.http.get("/.well-known/oauth-protected-resource")
    await database.close()
    asked = finished(exporter, server_of="/health")[0]
    assert asked.parent is not None
    assert (f"{asked.context.trace_id:032x}", f"{asked.parent.span_id:016x}") == (trace, parent)
    assert finished(exporter, server_of="/.well-known/oauth-protected-resource")[0].parent is None


async def test_a_failure_nobody_foresaw_tells_its_kind_and_not_its_words(
    exporter: InMemorySpanExporter,
) -> None:
    with contextlib.suppress(ValueError), spans.span("outer"), spans.span("inner"):
        raise ValueError("the token is sk_live_secret")
    assert [attributes(span) for span in finished(exporter)] == [{"error.type": "ValueError"}] * 2
    assert "sk_live" not in "".join(span.to_json() for span in finished(exporter))


async def test_a_real_connect_is_one_trace_from_the_device_to_the_machine(
    exporter: InMemorySpanExporter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything `doorward up` runs, and a client: an unknown device asks to be let in."""
    port, environment_port = free_ports(2)
    outbound = Outbound()
    options = UpOptions(home=tmp_path / "home", port=port, environment_port=environment_port)
    async with running_up(options) as banner:
        account = Account(banner.accounts, outbound)

        async def mailed_code() -> str:
            printed = ""
            async with asyncio.timeout(30):  # a mail is sent behind the answer
                while (code := re.search(r"code is (\d{6})", printed)) is None:
                    await asyncio.sleep(0.01)
                    printed += capsys.readouterr().out
            return code[1]

        assert banner.administrator is not None
        await account.sign_up(banner.administrator, mailed_code)
        grant = await account.grant()

        async def token() -> str:
            return grant.access_token

        relay = RelayClient(
            outbound,
            relay_url=banner.relay,
            client_id="doorward-cli",
            account_token=token,
            clock=system_clock,
        )
        async with asyncio.timeout(60):
            machines = await relay.machines()
            while not (machines and machines[0].connected is True):
                machines = await relay.machines()
        with spans.span("doorward forward") as started:
            assert started is not None
            answer = await relay.connect(machines[0], generate_key("ES256"), ClientMeta(label="Phone"))
        assert isinstance(answer, ConnectPending)
        await outbound.close()
    mine = [
        span for span in finished(exporter) if f"{span.context.trace_id:032x}" == started.context.trace_id
    ]
    mint = next(span for span in mine if attributes(span).get("http.route", "").endswith("/mint-credential"))
    chain, span = [], mint
    while span.parent is not None:
        chain.append(span.name)
        span = next(one for one in mine if span.parent and one.context.span_id == span.parent.span_id)
    assert [*chain, span.name] == [
        "http.server POST",  # the machine
        "http.client POST",
        "relay.environment_connector.connect",
        "relay.api.connect.connect",
        "http.server POST",  # the relay
        "http.client POST",
        "doorward forward",  # the device
    ]
    everything = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert grant.access_token not in everything
    assert "eyJ" not in everything


async def test_a_caller_a_machine_does_not_let_in_is_no_part_of_its_trace(
    exporter: InMemorySpanExporter, tmp_path: Path
) -> None:
    trace = "8f14e45fceea167a5a36dedd4bea2543"
    port, environment_port = free_ports(2)
    async with (
        running_up(
            UpOptions(home=tmp_path / "home", port=port, environment_port=environment_port, as_json=True)
        ),
        httpx.AsyncClient() as client,
    ):
        headers = {
            "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
            "host": f"127.0.0.1:{environment_port}",
        }
        url = f"http://127.0.0.1:{environment_port}/api/t3-connect/health"
        assert (await client.post(url, json={"proof": "x"}, headers=headers)).status_code >= 400
    (span,) = finished(exporter, server_of="/api/t3-connect/health")
    assert f"{span.context.trace_id:032x}" != trace


# Where they go.


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """An OTLP collector on loopback: its URL, and what it received."""
    received: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()
    thread.join()


def test_spans_go_where_t3_s_variables_say(
    collector: tuple[str, list[tuple[str, dict[str, str], bytes]]],
) -> None:
    url, received = collector
    name = "T3CODE_RELAY_CLIENT_OTLP_TRACES_"
    settings = {f"{name}URL": f"{url}/v1/traces", f"{name}DATASET": "connect", f"{name}TOKEN": "ingest"}
    with tracing("forward", settings), spans.span("told"):
        pass
    ((path, headers, body),) = received
    assert (path, headers["authorization"], headers["x-axiom-dataset"]) == (
        "/v1/traces",
        "Bearer ingest",
        "connect",
    )
    assert b"told" in body
    assert b"doorward-forward" in body


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"T3CODE_RELAY_CLIENT_OTLP_TRACES_URL": "http://127.0.0.1:9/"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9/", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_without_a_collector_nothing_is_recorded(environ: dict[str, str]) -> None:
    with tracing("serve", environ), spans.span("nothing") as opened:
        assert opened is None
        assert not spans.is_recording()


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    """As where only `doorward[server]` is installed: an empty package stands for the one that is not there."""
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").touch()
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9/", "PYTHONPATH": str(tmp_path)}
    done = command("doctor", home=tmp_path, environ=environ)
    assert (done.returncode, "doorward[otel]" in done.stderr) == (2, True)
    assert "never awaited" not in done.stderr


def test_headers_that_open_doors_are_hidden(exporter: InMemorySpanExporter) -> None:
    secret = [(name, b"secret") for name in (b"Authorization", b"DPoP", b"Cookie", b"Doorward-DPoP")]
    with spans.span("request") as opened:
        assert opened is not None
        spans.set_request_headers(opened, [*secret, (b"Accept", b"*/*")])
    told = json.dumps(attributes(finished(exporter)[0]))
    assert "secret" not in told
    assert "*/*" in told

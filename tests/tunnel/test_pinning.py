"""Pinned keys of the edge: whose TLS a tunnel is made with, whatever authorities the machine trusts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import certifi
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from doorward.http1 import Answer, Peer, RequestHead
from doorward.tunnel import Connector, InvalidEdgeUrl, InvalidPins, read_pins
from doorward.tunnel.pinning import pin_of
from tests.e2e.certificates import issue
from tests.ports import free_ports
from tests.tunnel.carriers import Registry, never, until
from tests.tunnel.secure_edge import AFAR, NAMES, interceptor, pin, secure, trusting

pytestmark = pytest.mark.anyio

SOME_PIN = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def ok(head: RequestHead, peer: Peer) -> Answer:
    return Answer(200, [], b"ok")


class Place:
    """Two certificates for the edge's names, of two authorities, and a file that trusts both."""

    def __init__(self, folder: Path) -> None:
        for name in ("edge", "other"):
            (folder / name).mkdir()
        self.edge = issue(folder / "edge", NAMES, authority_name="The edge's authority")
        self.other = issue(folder / "other", NAMES, authority_name="Acme Web Filter CA")
        self.trusted = trusting(folder / "trusted.pem", self.edge, self.other)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("pinning"))


@contextlib.asynccontextmanager
async def dialling(
    registry: Registry, port: int, place: Place, pins: frozenset[str], **options: object
) -> AsyncIterator[Connector]:
    token = registry.token(edge_url=f"https://edge.localhost:{port}")
    async with registry.connector(
        router=ok, token=token, ca_file=place.trusted, pins=pins, wait=False, **options
    ) as connector:
        yield connector


def test_pins_are_read_as_curl_writes_them_and_nothing_else_is() -> None:
    other = "sha256//C5+lpZ7tcVwmwQIMcRtPbsQtWLABXhQzejna0wHFr8M="
    assert read_pins("") == read_pins(" ") == frozenset()
    assert read_pins(SOME_PIN) == {SOME_PIN}
    assert read_pins(f" {SOME_PIN};{other} ") == read_pins(f"{other}, {SOME_PIN}") == {SOME_PIN, other}
    for nonsense in (
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "sha256//AAAA",
        "sha256//not base64",
        "sha1//AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        f"{SOME_PIN};x",
        "/etc/edge.pem",
    ):
        with pytest.raises(InvalidPins):
            read_pins(nonsense)


def test_a_pin_is_what_others_make_of_the_same_key() -> None:
    """The published pin of a root everybody has."""
    _, _, after = Path(certifi.where()).read_bytes().partition(b"# Subject: CN=ISRG Root X1 ")
    root = x509.load_pem_x509_certificate(after)
    assert pin_of(root.public_bytes(Encoding.DER)) == "sha256//C5+lpZ7tcVwmwQIMcRtPbsQtWLABXhQzejna0wHFr8M="


async def test_the_edge_with_the_pinned_key_is_connected_to(place: Place) -> None:
    async with Registry() as registry:
        await registry.start_edge()
        port = await secure(registry, place.edge)
        async with dialling(registry, port, place, frozenset({pin(place.edge)})) as connector:
            await until(lambda: connector.state.word == "connected", 20)


async def test_another_key_is_not_whoever_vouches_for_it(place: Place) -> None:
    async with Registry() as registry:
        await registry.start_edge()
        port = await secure(registry, place.other)
        async with dialling(registry, port, place, frozenset({pin(place.edge)})) as connector:
            await until(lambda: connector.state.reason == "tls_intercepted", 20)
            assert connector.state.word == "connecting"
            assert connector.state.message.startswith(
                "Somebody stands between this machine and edge.localhost"
            )
            assert "issued by CN=Acme Web Filter CA" in connector.state.message
            assert pin(place.other) in connector.state.message
        assert registry.hellos == []


async def test_a_pinned_key_excuses_no_certificate_that_nobody_vouches_for(place: Place) -> None:
    async with Registry() as registry:
        await registry.start_edge()
        port = await secure(registry, place.other)
        token = registry.token(edge_url=f"https://edge.localhost:{port}")
        async with registry.connector(
            router=never,
            token=token,
            ca_file=place.edge.authority,
            pins=frozenset({pin(place.other)}),
            wait=False,
        ) as connector:
            await until(lambda: connector.state.reason == "tls_untrusted", 20)
        assert registry.hellos == []


async def test_with_two_pins_the_edge_changes_its_key_and_its_machines_stay(place: Place) -> None:
    pins = frozenset({pin(place.edge), pin(place.other)})
    async with Registry() as registry:
        (registry.port,) = free_ports(1)
        await registry.start_edge()
        port = await secure(registry, place.edge)
        async with dialling(registry, port, place, pins) as connector:
            await until(lambda: connector.state.word == "connected", 20)
            await registry.stop_edge()
            await until(lambda: connector.state.word == "connecting", 20)
            await registry.start_edge()
            connector._address = msgspec.structs.replace(
                connector._address, port=await secure(registry, place.other)
            )
            assert registry.edge is not None
            registry.edge.origin = connector._address.origin
            await until(lambda: connector.state.word == "connected", 20)


@pytest.mark.parametrize("is_pinned", [False, True])
async def test_who_looks_into_tls_with_a_trusted_certificate_is_noticed_by_the_pin_alone(
    place: Place, is_pinned: bool
) -> None:
    async with Registry() as registry:
        await registry.start_edge()
        port = await secure(registry, place.edge)
        async with interceptor(place.other, place.edge, port) as between:
            environ = {"HTTPS_PROXY": f"http://127.0.0.1:{between.port}"}
            pins = frozenset({pin(place.edge)}) if is_pinned else frozenset()
            async with dialling(registry, port, place, pins, environ=environ) as connector:
                connector._address = msgspec.structs.replace(connector._address, host=AFAR)
                if is_pinned:
                    await until(lambda: connector.state.reason == "tls_intercepted", 20)
                    assert "Acme Web Filter CA" in connector.state.message
                else:
                    # Everything the tunnel says is read on the way, and the machine cannot know.
                    await until(lambda: connector.state.word == "connected", 20)
            assert (b"connect-mux" in between.overheard, len(registry.hellos) > 0) == (not is_pinned,) * 2
            assert is_pinned == (between.overheard == b"")


async def test_an_edge_without_tls_has_no_key_to_be_the_pinned_one() -> None:
    registry = Registry()
    with pytest.raises(InvalidEdgeUrl, match="no TLS"):
        Connector(registry.token(edge_url="http://edge.localhost:1"), router=never, pins=read_pins(SOME_PIN))


async def test_a_key_that_is_not_pinned_is_no_fault_of_ours(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked about again and again: nothing of it may look like a defect in the log."""
    heard: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context))
    async with Registry() as registry:
        await registry.start_edge()
        port = await secure(registry, place.other)
        async with dialling(registry, port, place, frozenset({SOME_PIN})) as connector:
            await until(lambda: connector.state.reason == "tls_intercepted", 20)
    assert heard == []
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]

"""The gate at its loopback port, where cloudflared carries visitors to."""

import socket
from pathlib import Path
from typing import cast

import pytest

from doorward.environment.gate.origin import GateOrigin, carried_peer
from doorward.environment.gate.router import Gate
from doorward.http1 import Headers, Peer, RequestHead
from tests.ports import free_ports

LOCAL = Peer("127.0.0.1")


def head(*headers: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(b"GET", b"/", cast("Headers", [(b"host", b"x.example"), *headers]), b"", 0)


@pytest.mark.parametrize(
    ("headers", "peer"),
    [
        ([(b"x-forwarded-for", b"203.0.113.7")], Peer("203.0.113.7")),
        (
            [(b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https")],
            Peer("203.0.113.7", is_tls=True),
        ),
        # What a visitor claims stands before what Cloudflare saw.
        ([(b"x-forwarded-for", b"127.0.0.1, 2001:db8::7")], Peer("2001:db8::7")),
        ([(b"x-forwarded-for", b"203.0.113.7, nonsense")], LOCAL),
        ([(b"x-forwarded-for", b"")], LOCAL),
        ([], LOCAL),
    ],
)
def test_the_visitor_is_who_cloudflare_says(headers: list[tuple[bytes, bytes]], peer: Peer) -> None:
    assert carried_peer(head(*headers), LOCAL) == peer


def reserved(remembered: Path) -> GateOrigin:
    return GateOrigin(cast("Gate", None), remembered)  # it asks the gate only once it listens


@pytest.mark.anyio
async def test_the_port_is_kept_from_start_to_start_and_answers_nobody_before_it_is_opened(
    tmp_path: Path,
) -> None:
    (port,) = free_ports(1)  # not one that the kernel gives to somebody else while nobody has it
    (tmp_path / "gate-port").write_text(f"{port}\n")
    first = reserved(tmp_path / "gate-port")
    assert first.port == port
    with socket.socket() as visitor:
        assert visitor.connect_ex(("127.0.0.1", first.port)) != 0
    await first.close()
    second = reserved(tmp_path / "gate-port")
    assert second.port == first.port
    await second.close()
    with socket.create_server(("127.0.0.1", first.port)):
        # While another program has it, any other port does, and is remembered from then on.
        third = reserved(tmp_path / "gate-port")
        assert third.port != first.port
        await third.close()
    fourth = reserved(tmp_path / "gate-port")
    assert fourth.port == third.port
    await fourth.close()


@pytest.mark.anyio
async def test_a_note_that_is_no_port_is_written_anew(tmp_path: Path) -> None:
    note = tmp_path / "gate-port"
    for nonsense in ("", "70000", "-1", "port"):
        note.write_text(nonsense)
        origin = reserved(note)
        assert int(note.read_text()) == origin.port
        await origin.close()

"""Sockets: who may reach them, and what is said when one cannot be had."""

import socket
import stat

import pytest

from doorward.listening import CannotListen, bind, bind_unix, serving
from doorward.outbound import Outbound


def test_a_taken_port_is_told_in_one_sentence_with_the_way_out():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(CannotListen, match=rf"Port {port} is taken.*--port"):
            bind("127.0.0.1", port, option="--port")


def test_an_address_that_is_not_this_machines_is_told():
    with pytest.raises(CannotListen, match=r"Cannot listen on 192\.0\.2\.1"):
        bind("192.0.2.1", 0, option="listen.edge")


def test_a_unix_socket_is_for_this_user_alone_and_replaces_one_left_by_a_crash(tmp_path):
    path = tmp_path / "run" / "control.sock"
    bind_unix(path).close()
    with bind_unix(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_path_too_long_for_a_socket_is_told(tmp_path):
    with pytest.raises(CannotListen, match="shorter"):
        bind_unix(tmp_path / ("x" * 120) / "control.sock")


@pytest.mark.anyio
async def test_what_an_application_sends_without_a_pause_arrives_whole_and_in_order():
    pieces = [b"%d" % (number % 10) * 1000 for number in range(300)]

    async def application(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    outbound = Outbound()
    listener = bind("127.0.0.1", 0, option="--port")
    try:
        async with serving(application, listener):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            for _ in range(2):
                assert (await outbound.request("GET", url)).body == b"".join(pieces)
    finally:
        await outbound.close()
        listener.close()

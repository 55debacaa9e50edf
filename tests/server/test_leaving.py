"""How `doorward serve` ends: what is open gets its time, a second signal takes it away."""

import contextlib
import signal
import socket
from pathlib import Path

import pytest

from tests.server.nodes import ServedNode

HEAD = b"GET / HTTP/1.1\r\nHost: unknown.machines.localhost\r\n"


@pytest.mark.parametrize("is_hurried", [False, True])
def test_a_node_gives_an_open_request_its_time_unless_it_is_told_twice(
    tmp_path: Path, is_hurried: bool
) -> None:
    node = ServedNode(tmp_path, roles=["edge"], edge="drain_seconds = 60")
    program = node.start()
    try:
        with socket.create_connection(("127.0.0.1", node.edge_port), timeout=30) as visitor:
            visitor.sendall(HEAD)
            # What was sent before this was is in the server's hands by now.
            assert asked(node.edge_port).startswith(b"HTTP/1.1 404")
            program.process.send_signal(signal.SIGTERM)
            program.wait_for("Stopping")
            if is_hurried:
                program.process.send_signal(signal.SIGTERM)
                # Neither an answer nor, ten seconds later, the refusal of a request that does not arrive.
                assert everything(visitor) == b""
            else:
                visitor.sendall(b"\r\n")
                assert everything(visitor).startswith(b"HTTP/1.1 404")
        assert program.finish(seconds=60) == 0, program.output
    finally:
        node.kill()


def test_a_reload_ends_nothing_where_there_are_no_certificates(tmp_path: Path) -> None:
    node = ServedNode(tmp_path, roles=["edge"])
    program = node.start()
    try:
        program.process.send_signal(signal.SIGHUP)
        assert asked(node.edge_port).startswith(b"HTTP/1.1 404")
        program.process.send_signal(signal.SIGTERM)
        assert program.finish(seconds=60) == 0, program.output
    finally:
        node.kill()


def asked(port: int) -> bytes:
    """The answer to a whole request."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as visitor:
        visitor.sendall(HEAD + b"Connection: close\r\n\r\n")
        return everything(visitor)


def everything(visitor: socket.socket) -> bytes:
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while data := visitor.recv(65536):
            answer += data
    return answer

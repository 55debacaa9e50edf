"""Where an export's file comes to its name: beside somebody who takes that name meanwhile, and without hard links."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner, Result

from doorward.cli import program


@contextmanager
def accounts_without_users(when_asked: Callable[[], object]) -> Iterator[str]:
    """The origin of a server that does something in the midst of an export."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            when_asked()
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()


def export(file: Path, origin: str) -> Result:
    return CliRunner().invoke(
        program, ["users", "export", str(file), "--url", origin], env={"CLERK_SECRET_KEY": "sk_test_x"}
    )


@pytest.fixture(params=[None, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hard links, or on a file system that has none and says so in its way."""

    def refuse(*_: object) -> NoReturn:
        raise OSError(request.param, os.strerror(request.param))

    if request.param is not None:
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("links")
def test_a_file_that_appears_while_an_export_runs_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    with accounts_without_users(lambda: file.write_text("precious", "utf-8")) as origin:
        done = export(file, origin)
    assert done.exit_code == 1
    assert f"{file} exists already. Choose another name" in done.stderr
    assert file.read_text("utf-8") == "precious"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.usefixtures("links")
def test_a_finished_export_is_alone_under_its_name(tmp_path: Path) -> None:
    file = tmp_path / "users.jsonl"
    beside: list[list[Path]] = []
    with accounts_without_users(lambda: beside.append(list(tmp_path.iterdir()))) as origin:
        done = export(file, origin)
    assert done.exit_code == 0, done.output
    assert file not in beside[0]
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o600

"""Fronts and proxies from Debian, each as a process of its own for one test."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.ports import free_ports
from tests.system_parts import require_system_part


def require_program(name: str) -> str:
    """The program's path; administrators' programs are not on everybody's PATH."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    require_system_part(name, None if path else f"the program {name} is not installed")
    assert path is not None
    return path


@asynccontextmanager
async def running(program: str, *arguments: str, port: int, folder: Path) -> AsyncIterator[None]:
    """From when it accepts connections on `port` until the block ends."""
    with (folder / f"{Path(program).name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(program, *arguments, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(60):
            while not await _answers(port):
                assert process.returncode is None, (folder / f"{Path(program).name}.log").read_text()
                await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@asynccontextmanager
async def nginx(folder: Path, server: str) -> AsyncIterator[int]:
    """nginx in the foreground with one `server` of these directives; its port."""
    program, port = require_program("nginx"), free_ports(1)[0]
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;"
        "events { worker_connections 256; }\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        # A middlebox that knows WebSocket and nothing else.
        'map $http_upgrade $known { default ""; websocket websocket; }\n'
        "map $known $hop { default close; websocket upgrade; }\n"
        f"server {{ listen 127.0.0.1:{port}; {server} }} }}\n"
    )
    async with running(program, "-p", str(folder), "-c", str(configuration), port=port, folder=folder):
        yield port


@asynccontextmanager
async def tinyproxy(folder: Path, *lines: str) -> AsyncIterator[int]:
    """A CONNECT proxy; `lines` are added to its configuration."""
    program, port = require_program("tinyproxy"), free_ports(1)[0]
    configuration = folder / "tinyproxy.conf"
    configuration.write_text(
        "\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 600", "MaxClients 20", *lines]) + "\n"
    )
    async with running(program, "-d", "-c", str(configuration), port=port, folder=folder):
        yield port

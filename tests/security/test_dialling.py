"""Whatever of ours fetches a URL does so through one client, which refuses what must not be asked; the SDK, which other
people's programs load without that client, through one function that refuses the same."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest

import doorward
from doorward.outbound import InsecureUrl, Outbound, OutboundError
from doorward.verify.transport import fetch_url

SOURCE = Path(doorward.__file__).parent

#: What opens connections or could, and the files that may use it: each with who chooses the address there. A new one
#: belongs here only with such an answer; what fetches a URL goes through `doorward.outbound`.
DIALLERS = {
    "httpx": {},
    "requests": {},
    "aiohttp": {"verify/integrations/aiohttp.py": "nobody: its server's words"},
    "h2": {},
    "urllib.request": {},
    "http.client": {
        "verify/transport.py": "the program that uses the SDK; refused below when it leads astray"
    },
    "httpcore": {"outbound/": "the one client, for HTTP/2 and proxies"},
    "aiosmtplib": {"identity/mail.py": "the operator"},
    "psycopg": {
        "store/": "the operator",
        "server/backup/": "the operator",
        "server/stages.py": "the operator",
    },
    "websockets": {
        "tunnel/": "nobody: its frames are used, not its sockets",
        "client/rpc_socket.py": "the relay names the machine; localhost or TLS",
    },
}
CALLS = {
    "create_connection": {
        "outbound/": "the one client",
        "tunnel/dialing.py": "the edge of the token, localhost or TLS",
        "http1/": "a router of ours",
        "client/forward.py": "nobody else: loopback",
    },
    "open_connection": {
        "environment/services/liveness.py": "the owner: a local service; nothing is sent",
        "server/": "the operator who runs it",
    },
    "open_unix_connection": {"environment/control.py": "nobody: a path of the data folder"},
    "create_unix_connection": {"http1/": "a router of ours"},
    "sock_connect": {"tunnel/": "HTTPS_PROXY", "http1/": "HTTPS_PROXY"},
}


def found() -> list[tuple[str, str]]:
    """(file, module or call) of everything that could dial."""
    seen = []
    for path in sorted(SOURCE.rglob("*.py")):
        name = str(path.relative_to(SOURCE))
        for node in ast.walk(ast.parse(path.read_text())):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
            seen += [
                (name, dialler)
                for module in modules
                for dialler in DIALLERS
                if module == dialler or module.startswith(f"{dialler}.")
            ]
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in CALLS
            ):
                seen.append((name, node.func.attr))
    return seen


def test_nothing_dials_but_the_rooms_that_are_for_it():
    allowed: dict[str, dict[str, str]] = {**DIALLERS, **CALLS}
    seen = found()
    strangers = [(file, what) for file, what in seen if not file.startswith(tuple(allowed[what]))]
    assert not strangers
    assert len(seen) >= 5, "the search finds nothing any more"


#: Ways to write this machine, its network or a cloud's metadata that other parsers read differently.
DISGUISES = [
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://[::ffff:127.0.0.1]/",
    "http://0.0.0.0/",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/",
    "http://10.0.0.1/",
    "http://evil.example@127.0.0.1/",
    "http://127.0.0.1@evil.example/",
    "https://user:word@accounts.example.com/",
    "http://127.0.0.1.nip.io/",
    "http://localhost.evil.example/",
    "http://evil.example#.localhost/",
    "http://evil.example\\@localhost/",
    "http://evil.example/\r\nhost: localhost",
    "file:///etc/passwd",
    "gopher://localhost/",
    "//localhost/",
    "",
]


@pytest.mark.anyio
@pytest.mark.parametrize("url", DISGUISES)
async def test_a_disguised_address_is_refused_before_anything_is_sent(url: str):
    outbound = Outbound()
    try:
        with pytest.raises((InsecureUrl, OutboundError)) as refused:
            await outbound.request("GET", url, timeout=2)
        # `[::ffff:127.0.0.1]` is this machine however it is written: then nobody listens on port 80
        assert isinstance(refused.value, InsecureUrl) or "ffff" in url, refused.value
    finally:
        await outbound.close()


@pytest.mark.anyio
@pytest.mark.parametrize("url", [url for url in DISGUISES if "ffff" not in url and url.startswith("http:")])
async def test_the_sdk_fetches_keys_from_no_disguised_address(url: str):
    with pytest.raises((OSError, ValueError)):
        await asyncio.wait_for(fetch_url(url), 2)

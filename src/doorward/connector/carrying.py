"""One tunnel of a T3 Code server, from its token to SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from doorward.connector.lines import Lines
from doorward.http1 import Forward, TcpUpstream
from doorward.tunnel import Connector, ConnectorToken, InvalidConnectorToken, read_pins

#: T3 Code starts a connector that exits again at once; without this pause a bad token would keep a core busy.
PAUSE_BEFORE_FAILING_SECONDS = 5.0
#: How long open requests may go on after SIGTERM. T3 Code waits for the exit.
GRACE_SECONDS = 1.0


class TokenUnusable(ValueError):
    """No tunnel can be opened with this token; the message says why and what to do, and never repeats it."""

    code = "token_unusable"


def carry(environ: Mapping[str, str], output: TextIO) -> int:
    """Carry until SIGTERM or SIGINT; the exit status. `TUNNEL_TOKEN` is the connector token."""
    with suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    return asyncio.run(_carry(environ, Lines(output)))


async def _carry(environ: Mapping[str, str], lines: Lines) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        token = read_token(environ.get("TUNNEL_TOKEN", ""))
        connector = _connector(token, environ)
    except (ValueError, OSError) as error:
        lines.say("ERR", str(error))
        if not lines.has_reader:
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_BEFORE_FAILING_SECONDS):
                    await stopped.wait()
        return 1
    lines.say("INF", f"Starting tunnel tunnelID={token.environment_id} origin={token.origin}")
    connector.on_state(lines.say_state)
    carrying = asyncio.create_task(connector.run())
    await stopped.wait()
    lines.say("INF", "Initiating graceful shutdown due to signal")
    await connector.close(grace=GRACE_SECONDS)
    await carrying
    return 0


def read_token(text: str) -> ConnectorToken:
    """Raises TokenUnusable."""
    if not text.strip():
        raise TokenUnusable("TUNNEL_TOKEN is empty. T3 Code sets it once this machine is linked.")
    try:
        return ConnectorToken.decode(text)
    except InvalidConnectorToken as error:
        raise TokenUnusable(
            "TUNNEL_TOKEN is not a token of Doorward's tunnel. If this relay uses Cloudflare's tunnels, let T3 Code"
            " run cloudflared: unset T3CODE_CLOUDFLARED_PATH."
        ) from error


def loopback_origin(url: str) -> TcpUpstream:
    """Where a token's origin listens: plain HTTP on this machine, nothing else. Raises TokenUnusable.

    The token comes from the relay. Whoever runs that must not choose which host of the owner's network a public name
    leads to.
    """
    if not url:
        raise TokenUnusable("The connector token names no origin. Link this machine again.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise TokenUnusable("The connector token's origin is not a URL.") from None
    is_bare = url == f"{parts.scheme}://{parts.netloc}" and parts.username is None
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "::1", "localhost") or not is_bare:
        raise TokenUnusable("The connector token's origin is not a plain HTTP server on this machine.")
    return TcpUpstream("127.0.0.1" if parts.hostname == "localhost" else parts.hostname, port or 80)


def _connector(token: ConnectorToken, environ: Mapping[str, str]) -> Connector:
    origin = loopback_origin(token.origin)
    # The authority that T3 Code's own requests trust: whoever set it for the relay means the edge as well.
    authority = environ.get("NODE_EXTRA_CA_CERTS", "").strip()
    return Connector(
        token,
        router=lambda head, peer: Forward(origin, head),
        ca_file=Path(authority) if authority else None,
        pins=read_pins(environ.get("DOORWARD_EDGE_PINS", "")),
    )

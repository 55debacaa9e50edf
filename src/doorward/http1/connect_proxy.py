"""A socket to somewhere else by way of an HTTP proxy's CONNECT. RFC 9110 §9.3.6."""

from __future__ import annotations

import asyncio
import base64
import socket
from urllib.parse import unquote, urlsplit

_HEAD_BYTES = 16 * 1024


class ProxyRefused(Exception):
    """`code` is stable; the message names the proxy and never its password."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


async def connect_through(proxy: str, host: str, port: int) -> socket.socket:
    """A connected, non-blocking socket whose other end is `host`. `proxy` is an http URL, with Basic credentials or none.

    Raises ProxyRefused, OSError.
    """
    loop = asyncio.get_running_loop()
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme != "http" or not parts.hostname:
        raise ProxyRefused("proxy_unsupported", "Only http:// proxies (CONNECT) are supported.")
    found = await loop.getaddrinfo(parts.hostname, parts.port or 8080, type=socket.SOCK_STREAM)
    family, _, _, _, where = found[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        await loop.sock_connect(sock, where)
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if parts.username is not None:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(secret).decode()}")
        await loop.sock_sendall(sock, ("\r\n".join(lines) + "\r\n\r\n").encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            # One byte at a time: what follows the head belongs to the other end.
            byte = await loop.sock_recv(sock, 1)
            head += byte
            if not byte or len(head) > _HEAD_BYTES:
                raise ProxyRefused("proxy_failed", f"The proxy {parts.hostname} ended the connection.")
        status = head.partition(b" ")[2][:3] if head.startswith(b"HTTP/1.") else b"?"
        if not status.startswith(b"2"):
            raise ProxyRefused(
                "proxy_refused", f"The proxy {parts.hostname} answered {status.decode('latin-1')}."
            )
    except BaseException:
        sock.close()
        raise
    return sock

"""`doorward forward`: a port on this machine's loopback that is a remote service.

A local proxy which adds `Doorward-Authorization` and a fresh DPoP proof to each request, so that the service's own
`Authorization` passes untouched. Because it lends this device's rights to whatever connects, it answers only
programs and pages of this very address: a foreign `Host` (DNS rebinding), `Origin` or `Sec-Fetch-Site` (a web page
elsewhere) is refused.

While the machine is out of reach a request waits a little for it, and is then told what is being waited for.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from doorward.client.connection import MachineConnection
from doorward.client.errors import ClientError
from doorward.client.live_connection import LiveConnection
from doorward.client.supervisor import sentence
from doorward.http1 import (
    Answer,
    Forward,
    Peer,
    ProxyServer,
    RequestHead,
    ResponseHead,
    TcpUpstream,
    problem,
    without,
)
from doorward.outbound import connect_proxy_for, dial_address

_OURS = frozenset({b"doorward-authorization", b"doorward-dpop", b"host", b"origin", b"referer"})
#: Long enough for a machine or relay that restarts, short enough for a person who looks at an empty page.
_PATIENCE_SECONDS = 10.0
_SAME_SITE = (b"same-origin", b"none")


def foreign_reason(head: RequestHead, port: int) -> str | None:
    """Why a request does not come from this forwarder's own address, or None when it does."""
    own_hosts = {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"}
    if head.host not in own_hosts:
        return f"This forwarder answers to http://127.0.0.1:{port} only, not to the host {head.host or 'none'!r}."
    origin = head.get(b"origin")
    if origin is not None and origin.decode("latin-1").lower() not in {
        f"http://{host}" for host in own_hosts
    }:
        return "A page of another site may not use this forwarder."
    fetch_site = head.get(b"sec-fetch-site")
    if fetch_site is not None and fetch_site not in _SAME_SITE:
        return "A page of another site may not use this forwarder."
    return None


class Forwarder:
    """One local port for one service URL. `tls` is the context for an https service."""

    def __init__(
        self,
        connection: MachineConnection,
        live: LiveConnection,
        service_url: str,
        *,
        tls: Callable[[], ssl.SSLContext],
    ) -> None:
        url = urlsplit(service_url)
        self._origin = f"{url.scheme}://{url.netloc}"
        self._authority = url.netloc.encode("ascii")
        self._connection = connection
        self._live = live
        secure = url.scheme == "https"
        host = url.hostname or ""
        address, port = dial_address(host, url.port or (443 if secure else 80))
        self._upstream = TcpUpstream(
            address,
            port,
            tls=tls() if secure else None,
            server_name=host if secure else None,
            proxy=connect_proxy_for(host) if secure else None,
        )
        self._server = ProxyServer(self._route)
        self._port = 0

    async def serve(self, listener: socket.socket) -> None:
        """Accept on a socket bound to loopback."""
        self._port = listener.getsockname()[1]
        await self._server.serve(listener)

    async def close(self) -> None:
        await self._server.close(grace=1.0)

    async def _route(self, head: RequestHead, _: Peer) -> Forward | Answer:
        if reason := foreign_reason(head, self._port):
            return problem(403, "foreign_request", reason, accept=head.get(b"accept"))
        state = await self._live.settled(_PATIENCE_SECONDS)
        if state.phase != "connected":
            code = state.last_failure.code if state.last_failure else "unavailable"
            return problem(503, code, sentence(state), accept=head.get(b"accept"))
        try:
            token = await self._connection.token()
        except ClientError as error:
            return problem(502, error.code, error.message, accept=head.get(b"accept"))
        return Forward(self._upstream, self._authorised(head, token), rewrite_response=self._local_response)

    def _authorised(self, head: RequestHead, token: str) -> RequestHead:
        """The request as the machine's gate takes it: its own host, our two headers, one proof for this request."""
        url = f"{self._origin}{head.target.decode('latin-1')}"
        proof = self._connection.proof(head.method.decode("ascii"), url)
        headers = [(b"host", self._authority), *without(head.headers, _OURS)]
        if head.get(b"origin") is not None:
            headers.append((b"origin", self._origin.encode("ascii")))
        headers.append((b"doorward-authorization", f"DPoP {token}".encode("ascii")))
        headers.append((b"doorward-dpop", proof.encode("ascii")))
        return RequestHead(head.method, head.target, headers, head.upgrade, head.length)

    def _local_response(self, head: ResponseHead) -> ResponseHead:
        """Redirects to the service's public origin stay on the local port; a refusal of ours drops the token."""
        if head.status == 401 and head.get(b"doorward-gate") is not None:
            self._connection.forget()
            self._live.application_active()
        origin, local = self._origin.encode("ascii"), f"http://127.0.0.1:{self._port}".encode("ascii")
        headers = [
            (name, local + value[len(origin) :])
            if name == b"location" and (value == origin or value.startswith(origin + b"/"))
            else (name, value)
            for name, value in head.headers
        ]
        return ResponseHead(head.status, head.reason, headers, head.upgrade, head.length)

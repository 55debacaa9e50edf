"""Responses of the relay and the headers every one of them carries."""

import msgspec

from doorward.relay.tracing import Trace

JSON = b"application/json"

_CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"traceparent,www-authenticate"),
)
_PREFLIGHT = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET,POST,DELETE,OPTIONS"),
    (b"access-control-allow-headers", b"authorization,b3,traceparent,content-type,dpop"),
    (b"access-control-max-age", b"86400"),
)
_NO_STORE = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))


class Response(msgspec.Struct, frozen=True):
    """A status, a whole body and the headers that are this response's own."""

    status: int
    body: bytes = b""
    content_type: bytes | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def with_headers(self, *headers: tuple[bytes, bytes]) -> "Response":
        return msgspec.structs.replace(self, headers=self.headers + headers)

    def not_stored(self) -> "Response":
        return self.with_headers(*_NO_STORE)

    def raw_headers(self, trace: Trace) -> list[tuple[bytes, bytes]]:
        headers = list(_PREFLIGHT if self is PREFLIGHT else _CORS)
        headers.append((b"traceparent", trace.traceparent.encode()))
        if self.content_type is not None:
            headers.append((b"content-type", self.content_type))
        if self.status != 204:
            headers.append((b"content-length", str(len(self.body)).encode()))
        return headers + list(self.headers)


class DeadlineExceeded(msgspec.Struct, frozen=True):
    """The one error body of the protocol that is not tagged."""

    error: str = "relay_request_deadline_exceeded"


PREFLIGHT = Response(204)
NOT_FOUND = Response(404)
SCHEMA_MISMATCH = Response(400)
TOO_LARGE = Response(413)
INTERNAL = Response(500)


def json_response(value: object, *, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(value), JSON)


DEADLINE = json_response(DeadlineExceeded(), status=504)


def unsupported_media_type(media_type: str) -> Response:
    return Response(
        415, f"Unsupported content-type: {media_type}".encode("latin-1", "replace"), b"text/plain"
    )


def redirect(location: str) -> Response:
    return Response(302, headers=((b"location", location.encode()),))

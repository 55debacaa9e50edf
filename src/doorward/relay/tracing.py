"""W3C trace context of one request (https://www.w3.org/TR/trace-context/)."""

import re
import secrets

import msgspec

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_B3 = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})(?:-.*)?")


class Trace(msgspec.Struct, frozen=True):
    """`trace_id` is what errors quote; `span_id` is this server's span."""

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"

    def child(self) -> "Trace":
        """The context of a call we make while we serve this one."""
        return Trace(self.trace_id, secrets.token_hex(8))


def start_trace(traceparent: str | None, b3: str | None) -> Trace:
    """Continue the caller's trace, or begin one. Anything malformed begins a new one."""
    for header, pattern in ((traceparent, _TRACEPARENT), (b3, _B3)):
        match = pattern.fullmatch(header.strip()) if header else None
        if (
            match
            and set(match[1]) != {"0"}
            and set(match[2]) != {"0"}
            and not (header or "").startswith("ff-")
        ):
            return Trace(match[1], secrets.token_hex(8))
    return Trace(secrets.token_hex(16), secrets.token_hex(8))

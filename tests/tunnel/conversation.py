"""Two endpoints with nothing between them but a list of bytes and a clock that is told the time."""

from doorward.http1 import Peer, RequestHead, ResponseHead
from doorward.tunnel import endpoint as core
from doorward.tunnel.endpoint import Endpoint, Event, Windows
from doorward.tunnel.liveness import Heartbeat
from doorward.tunnel.streams import Stream
from doorward.tunnel.window_budget import WindowBudget

VISITOR = Peer("198.51.100.7", True)
OK = ResponseHead(200, b"OK", [(b"content-type", b"text/plain")], b"", -1)


def get(path: bytes = b"/", **changes: object) -> RequestHead:
    fields = {"method": b"GET", "target": path, "headers": [(b"host", b"app.example")]} | changes
    return RequestHead(**fields)  # type: ignore[arg-type]


def upload(length: int = -1) -> RequestHead:
    headers = [(b"host", b"app.example")]
    if length >= 0:
        headers.append((b"content-length", b"%d" % length))
    return RequestHead(b"POST", b"/", headers, b"", length)


class Asked(Stream, eq=False, kw_only=True):
    """A stream as the machine gets it."""

    head: RequestHead
    peer: Peer


def asked(stream_id: int, head: RequestHead, peer: Peer) -> Asked:
    return Asked(stream_id, head=head, peer=peer)


class Conversation:
    """`edge_says` and `machine_says` move everything one end has to send and return what the other heard."""

    def __init__(
        self,
        *,
        windows: Windows | None = None,
        heartbeat: Heartbeat | None = None,
        budget: WindowBudget | None = None,
    ) -> None:
        self.now = 100.0
        self.edge = Endpoint(is_edge=True, now=self.now, windows=windows, heartbeat=heartbeat)
        self.machine = Endpoint(
            is_edge=False,
            now=self.now,
            windows=windows,
            heartbeat=heartbeat,
            budget=budget,
            new_stream=asked,
        )
        self.edge.unlock(self.now)
        self.machine.unlock(self.now)
        self.settle()

    def edge_says(self) -> list[Event]:
        return self._move(self.edge, self.machine)

    def machine_says(self) -> list[Event]:
        return self._move(self.machine, self.edge)

    def settle(self) -> list[Event]:
        """Both talk until neither has anything to say."""
        heard: list[Event] = []
        while self.edge.has_output or self.machine.has_output:
            heard += self.edge_says() + self.machine_says()
        return heard

    def opened(self, head: RequestHead | None = None) -> tuple[Stream, Stream]:
        """A stream, as the edge and as the machine know it."""
        stream = self.edge.open(Stream(), head or get(), VISITOR)
        (event,) = [event for event in self.edge_says() if isinstance(event, core.Opened)]
        return stream, event.stream

    def _move(self, sender: Endpoint, receiver: Endpoint) -> list[Event]:
        heard: list[Event] = []
        while out := sender.data_to_send(self.now):
            heard += receiver.receive_data(b"".join(out), self.now)
        return heard


def received(events: list[Event]) -> bytes:
    return b"".join(bytes(event.data) for event in events if isinstance(event, core.DataReceived))

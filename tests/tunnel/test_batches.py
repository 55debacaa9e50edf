"""A turn of the loop with much to send does not keep the other end waiting until it is over."""

import pytest

from doorward.http1 import Data, Failure, Headers, Peer, RequestHead, ResponseHead
from doorward.tunnel import frames
from tests.tunnel.carriers import Registry
from tests.tunnel.raw_machine import raw_machine

pytestmark = pytest.mark.anyio

REQUESTS = 40


class Visitor:
    """The asking end of a request; here no answer comes."""

    def on_interim(self, head: ResponseHead) -> None: ...
    def on_response(self, head: ResponseHead) -> None: ...
    def on_data(self, data: Data) -> None: ...
    def on_end(self, trailers: Headers) -> None: ...
    def on_whole(self, head: ResponseHead, data: Data) -> None: ...
    def on_failure(self, failure: Failure) -> None: ...
    def pause_sending(self) -> None: ...
    def resume_sending(self) -> None: ...


async def test_full_batches_leave_at_once_and_the_rest_with_the_turn() -> None:
    async with Registry() as registry:
        edge = await registry.start_edge()
        async with raw_machine(registry) as machine:
            [link] = edge.links
            before = link.bytes_sent
            for number in range(REQUESTS):
                head = RequestHead(b"GET", b"/%d" % number, [(b"host", b"app.localhost")])
                link.open(head, Peer("127.0.0.1"), Visitor())
            in_turn = link.bytes_sent - before
            streams = [(await machine.frame(frames.OPEN))[0] for _ in range(REQUESTS)]
            assert 0 < in_turn < link.bytes_sent - before
    assert streams == list(range(2, 2 + 2 * REQUESTS, 2))

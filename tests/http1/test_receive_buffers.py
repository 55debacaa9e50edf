"""Buffers are used again, and never while somebody still reads what they hold."""

from doorward.http1.receive_buffers import ReceiveBuffers


def test_a_buffer_is_used_again_when_nobody_reads_it_any_more() -> None:
    buffers = ReceiveBuffers()
    first = buffers.take()
    first[:5] = b"first"
    kept = first[:5]
    storage = id(first.obj)
    del first
    second = buffers.take()
    assert id(second.obj) != storage
    second[:5] = b"other"
    assert bytes(kept) == b"first"
    del kept
    assert id(buffers.take().obj) == storage


def test_views_of_views_and_of_other_types_keep_a_buffer() -> None:
    buffers = ReceiveBuffers()
    kept = [buffers.take()[10:20][2:4], buffers.take().cast("B"), memoryview(buffers.take())[1:]]
    assert len({id(view.obj) for view in kept}) == 3
    assert all(buffers.take().obj is not view.obj for view in kept)


def test_slow_readers_make_new_buffers_and_not_an_ever_longer_list() -> None:
    buffers = ReceiveBuffers()
    held = [buffers.take() for _ in range(100)]
    assert len({id(view.obj) for view in held}) == 100
    del held
    assert len({id(buffers.take().obj) for _ in range(50)}) == 1

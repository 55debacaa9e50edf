from email.utils import formatdate

import pytest

from doorward.outbound import Headers, Response, clocks_apart

NOW = 1_800_000_000


def dated(text: str | None) -> Response:
    return Response(401, Headers([(b"date", text.encode())] if text is not None else []), b"")


@pytest.mark.parametrize("off", [-60, 0, 60])
def test_clocks_within_a_minute_are_not_blamed(off: int) -> None:
    assert clocks_apart(dated(formatdate(NOW + off, usegmt=True)), NOW * 1000) is None


@pytest.mark.parametrize(
    ("off", "words"),
    [(600, "10 minutes behind"), (-600, "10 minutes ahead of"), (-8 * 3600, "8 hours ahead of")],
)
def test_a_clock_that_is_off_is_told_with_its_direction(off: int, words: str) -> None:
    told = clocks_apart(dated(formatdate(NOW + off, usegmt=True)), NOW * 1000)
    assert told is not None
    assert words in told


@pytest.mark.parametrize("text", [None, "", "yesterday", "Thu, 99 Foo 2026 00:00:00 GMT"])
def test_a_server_that_tells_no_time_accuses_nobody(text: str | None) -> None:
    assert clocks_apart(dated(text), NOW * 1000) is None

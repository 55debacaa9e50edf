"""Heads are read strictly: what two parsers could read differently is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.http1 import LENGTH_UNKNOWN, serialising
from doorward.http1.errors import BadRequest, BadResponse
from doorward.http1.parsing import RequestHeads, ResponseHeads, parse_request_head, parse_response_head


def request(
    *lines: bytes, start: bytes = b"POST /a?b=c HTTP/1.1", host: bytes = b"Host: app.example"
) -> bytes:
    return b"\r\n".join([start, *([host] if host else []), *lines, b"", b""])


SMUGGLING = {
    "both lengths": request(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "two lengths that agree": request(b"Content-Length: 3", b"Content-Length: 3"),
    "two lengths that differ": request(b"Content-Length: 3", b"Content-Length: 4"),
    "a list of lengths": request(b"Content-Length: 3, 3"),
    "a signed length": request(b"Content-Length: +3"),
    "a hexadecimal length": request(b"Content-Length: 0x3"),
    "a length with a space inside": request(b"Content-Length: 1 0"),
    "an enormous length": request(b"Content-Length: 99999999999999999999999"),
    "chunked twice": request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "chunked after gzip": request(b"Transfer-Encoding: gzip, chunked"),
    "chunked then identity": request(b"Transfer-Encoding: chunked, identity"),
    "an unknown coding": request(b"Transfer-Encoding: xchunked"),
    "a coding with a tab before the colon": request(b"Transfer-Encoding\t: chunked"),
    "a space before the colon": request(b"Content-Length : 3"),
    "a folded line": request(b"X-A: b", b" folded"),
    "a folded first line": request(b" X-A: b"),
    "a bare line feed": b"GET / HTTP/1.1\nHost: app.example\n\n\r\n\r\n",
    "a bare line feed in a header": request(b"X-A: b\nContent-Length: 3"),
    "a bare carriage return": request(b"X-A: b\rContent-Length: 3"),
    "a null byte": request(b"X-A: b\x00c"),
    "no host": request(host=b""),
    "two hosts": request(b"Host: other.example"),
    "a host with a path": request(host=b"Host: app.example/x"),
    "a host with credentials": request(host=b"Host: a@app.example"),
    "an empty host": request(host=b"Host:"),
    "another host in absolute form": request(start=b"GET http://other.example/ HTTP/1.1"),
    "a target that is no path": request(start=b"GET app.example HTTP/1.1"),
    "a fragment": request(start=b"GET /a#b HTTP/1.1"),
    "two spaces before the target": request(start=b"GET  / HTTP/1.1"),
    "two spaces before the version": request(start=b"GET /  HTTP/1.1"),
    "lookalike names": request(b"X-Forwarded-For: 1.1.1.1", b"X_Forwarded_For: 2.2.2.2"),
    "lookalike lengths": request(b"Content-Length: 3", b"Content_Length: 30"),
    "Connection hides the length": request(b"Content-Length: 3", b"Connection: content-length"),
    "Connection hides the host": request(b"Connection: close, host"),
    "chunked in HTTP/1.0": request(b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.0"),
    "an upgrade with a body": request(b"Connection: upgrade", b"Upgrade: websocket", b"Content-Length: 3"),
    "a header without a colon": request(b"X-A"),
    "a header without a name": request(b": b"),
}


@pytest.mark.parametrize("block", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_a_request_that_parsers_could_read_differently_is_refused(block: bytes) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_request_head(block)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("start", "status"),
    [(b"CONNECT app.example:443 HTTP/1.1", 501), (b"BREW / HTTP/1.1", 501), (b"GET / HTTP/2.0", 505)],
)
def test_what_the_server_does_not_speak_is_told_apart(start: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refusal:
        parse_request_head(request(start=start))
    assert refusal.value.status == status


def test_hop_by_hop_headers_and_those_named_in_connection_are_dropped() -> None:
    head = parse_request_head(
        request(
            b"Connection: keep-alive, X-Private",
            b"Keep-Alive: timeout=5",
            b"Proxy-Authorization: Basic x",
            b"TE: trailers",
            b"X-Private: 1",
            b"X-Kept: 2",
        )
    ).head
    assert head.headers == [(b"host", b"app.example"), (b"x-kept", b"2")]


def test_absolute_form_with_the_same_host_becomes_a_path() -> None:
    head = parse_request_head(request(start=b"GET http://APP.example?x=1 HTTP/1.1")).head
    assert head.target == b"/?x=1"


def test_an_upgrade_is_taken_out_of_the_headers_and_written_anew() -> None:
    head = parse_request_head(
        request(b"Connection: Upgrade", b"Upgrade: websocket", start=b"GET / HTTP/1.1")
    ).head
    assert head.is_upgrade
    assert b"upgrade: websocket\r\n" in serialising.request_head(head)
    assert b"connection: upgrade\r\n" in serialising.request_head(head)


@pytest.mark.parametrize(
    ("method", "lines", "length"),
    [
        (b"GET", [b"Content-Length: 5"], 5),
        (b"GET", [b"Transfer-Encoding: chunked"], LENGTH_UNKNOWN),
        (b"GET", [], LENGTH_UNKNOWN),
        (b"HEAD", [b"Content-Length: 5"], 0),
    ],
)
def test_the_body_of_a_response_is_framed_by_its_head_and_the_method(
    method: bytes, lines: list[bytes], length: int
) -> None:
    block = b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""])
    assert parse_response_head(block, method=method, wanted_upgrade=False).head.length == length


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_responses_never_have_a_body(status: bytes) -> None:
    block = b"HTTP/1.1 " + status + b"\r\nContent-Length: 10\r\n\r\n"
    if status.startswith(b"204"):
        block = block.replace(b"Content-Length: 10\r\n", b"")
    assert parse_response_head(block, method=b"GET", wanted_upgrade=False).head.length == 0


@pytest.mark.parametrize(
    "block",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
    ],
)
def test_a_response_that_parsers_could_read_differently_is_refused(block: bytes) -> None:
    with pytest.raises(BadResponse):
        parse_response_head(block, method=b"GET", wanted_upgrade=False)


NAMES = st.from_regex(rb"x-[a-z0-9-]{1,20}", fullmatch=True)
VALUES = st.from_regex(rb"[!-~]([ -~]{0,30}[!-~])?", fullmatch=True)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=20))
def test_what_is_parsed_and_written_parses_to_the_same(headers: list[tuple[bytes, bytes]]) -> None:
    block = request(*[name + b": " + value for name, value in headers], start=b"GET / HTTP/1.1")
    head = parse_request_head(block).head
    assert head.headers == [(b"host", b"app.example"), *headers]
    assert parse_request_head(serialising.request_head(head)).head == head


@given(st.binary(max_size=300))
def test_any_bytes_are_either_a_head_or_a_clear_refusal(noise: bytes) -> None:
    for block in (noise, request(noise), b"GET " + noise + b" HTTP/1.1\r\nHost: a\r\n\r\n"):
        try:
            head = parse_request_head(block).head
        except BadRequest as refusal:
            assert refusal.status in (400, 501, 505)
        else:
            # What we pass on is one head and nothing more.
            written = serialising.request_head(head)
            assert written.index(b"\r\n\r\n") == len(written) - 4
            assert written.count(b"\n") == written.count(b"\r\n")


STARTS = [
    b"GET / HTTP/1.1",
    b"POST /b?c=d HTTP/1.1",
    b"GET /\xff HTTP/1.1",
    b"GET /a#b HTTP/1.1",
    b"GET http://app.example/ HTTP/1.1",
    b"GET http://evil.example/ HTTP/1.1",
    b"GET / HTTP/1.0",
    b"GET  / HTTP/1.1",
    b"get / HTTP/1.1",
    b"CONNECT app.example:443 HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
]
LINES = [
    b"Content-Length: 3",
    b"Transfer-Encoding: chunked",
    b"Connection: close",
    b"Connection: upgrade, x-a",
    b"Upgrade: websocket",
    b"X-A: b",
    b"X_A: b",
    b"Host: other.example",
]


@given(
    st.lists(st.tuples(st.sampled_from(STARTS), st.lists(st.sampled_from(LINES), max_size=2)), max_size=12)
)
def test_a_connection_that_repeats_itself_is_judged_as_strictly_every_time(
    messages: list[tuple[bytes, list[bytes]]],
) -> None:
    heads = RequestHeads()
    for start, lines in messages:
        block = request(*lines, start=start)
        try:
            expected = parse_request_head(block)
        except BadRequest as refusal:
            with pytest.raises(BadRequest) as again:
                heads.parse(block)
            assert again.value.code == refusal.code
        else:
            assert heads.parse(block) == expected
            assert heads.parse(block) == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"200 OK", b"101 Switching Protocols", b"304 Not Modified"]),
            st.sampled_from([b"GET", b"HEAD"]),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_an_origin_that_repeats_itself_is_read_for_each_request_anew(
    answers: list[tuple[bytes, bytes, bool]],
) -> None:
    heads = ResponseHeads()
    for status, method, wanted in answers:
        block = b"HTTP/1.1 %b\r\nContent-Length: 5\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" % status
        try:
            expected = parse_response_head(block, method=method, wanted_upgrade=wanted)
        except BadResponse:
            with pytest.raises(BadResponse):
                heads.parse(block, method=method, wanted_upgrade=wanted)
        else:
            assert heads.parse(block, method=method, wanted_upgrade=wanted) == expected

"""Which headers and cookies cross the gate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.environment.gate.headers import (
    HostRewrite,
    Visitor,
    confine_set_cookie,
    inbound_headers,
    is_spoken_by_us,
    only_cookie_value,
    outbound_headers,
    strip_cookies,
    visitor_of,
)

VISITOR = Visitor(ip="203.0.113.9", scheme="https", host="notes.example.test")


def inbound(*headers: tuple[bytes, bytes], local: HostRewrite | None = None) -> list[tuple[bytes, bytes]]:
    return inbound_headers(headers, visitor=VISITOR, assertion="signed", host_rewrite=local)


def values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


@pytest.mark.parametrize(
    "name",
    [
        b"doorward-assertion",
        b"doorward-authorization",
        b"doorward-dpop",
        b"doorward-anything",
        b"doorward_assertion",
        b"DOORWARD-Assertion",
        b"Doorward_Assertion",
        b"doorward.assertion",
        b"x-forwarded-for",
        b"x_forwarded_for",
        b"x-forwarded_proto",
        b"X_Forwarded-Host",
        b"x-forwarded-prefix",
        b"x-forwarded-user",
        b"forwarded",
        b"Forwarded",
        b"x-real-ip",
        b"x_real_ip",
    ],
)
def test_a_visitor_cannot_speak_a_header_of_ours_in_any_spelling(name: bytes) -> None:
    sent = inbound((name, b"forged"))
    assert b"forged" not in [value for _, value in sent]
    assert is_spoken_by_us(name)


@pytest.mark.parametrize(
    "name",
    [b"authorization", b"x-request-id", b"dpop", b"door", b"x-forward", b"sec-fetch-site", b"user_agent"],
)
def test_the_services_own_headers_pass_untouched(name: bytes) -> None:
    assert (name, b"Bearer own") in inbound((name, b"Bearer own"))


def test_order_and_repetition_of_other_headers_are_kept() -> None:
    sent = inbound((b"accept", b"a"), (b"via", b"1"), (b"accept", b"b"))
    assert sent[:3] == [(b"accept", b"a"), (b"via", b"1"), (b"accept", b"b")]


def test_the_service_learns_who_visits_exactly_once() -> None:
    sent = inbound((b"x-forwarded-for", b"10.0.0.1"), (b"doorward-assertion", b"forged"))
    assert values(sent, b"x-forwarded-for") == [b"203.0.113.9"]
    assert values(sent, b"x-forwarded-proto") == [b"https"]
    assert values(sent, b"x-forwarded-host") == [b"notes.example.test"]
    assert values(sent, b"doorward-assertion") == [b"signed"]


@pytest.mark.parametrize(
    ("header", "left"),
    [
        (b"__Host-doorward=x", None),
        (b"__Host-doorward-nonce=x; theme=dark", b"theme=dark"),
        (b"__HOST-DOORWARD=x; a=1", b"a=1"),
        (b"a=1; __session=x; b=2", b"a=1; b=2"),
        (b"__session_abc=x; __client=y; __client_uat=1; __clerk_db_jwt=z; __refresh_k=r; keep=1", b"keep=1"),
        (b"  __Host-doorward = x ; a=1", b"a=1"),
        (b"\t__Host-doorward=x;a=1", b"a=1"),
        (b"=__Host-doorward=x; a=1", b"a=1"),
        (b"__Host-doorward; a=1", b"a=1"),
        (b"=; a=1", b"=; a=1"),
        (b";;a=1;", b"a=1"),
        (
            b"session=mine; host-doorward=mine; x__session=mine",
            b"session=mine; host-doorward=mine; x__session=mine",
        ),
        (b'a="x; y=2"', b'a="x; y=2"'),
    ],
)
def test_our_cookies_and_the_accounts_servers_never_reach_the_service(
    header: bytes, left: bytes | None
) -> None:
    assert strip_cookies(header) == left


def test_every_cookie_header_is_stripped_not_only_the_first() -> None:
    sent = inbound((b"cookie", b"a=1"), (b"cookie", b"__Host-doorward=x"), (b"cookie", b"__session=y; b=2"))
    assert values(sent, b"cookie") == [b"a=1", b"b=2"]


@given(st.binary(max_size=120))
def test_no_cookie_header_smuggles_our_cookie_past_a_reader(header: bytes) -> None:
    mixed = header + b"; __Host-doorward=secret; " + header
    left = strip_cookies(mixed) or b""
    for pair in left.split(b";"):
        assert not pair.strip(b" \t=").lower().startswith(b"__host-doorward")


def test_two_session_cookies_are_none() -> None:
    assert only_cookie_value([(b"cookie", b"__Host-doorward=a; x=1")], "__Host-doorward") == "a"
    assert (
        only_cookie_value([(b"cookie", b"__Host-doorward=a; __Host-doorward=b")], "__Host-doorward") is None
    )
    twice = [(b"cookie", b"__Host-doorward=a"), (b"cookie", b"__Host-doorward=a")]
    assert only_cookie_value(twice, "__Host-doorward") is None
    assert only_cookie_value([(b"cookie", b"__host-doorward=a")], "__Host-doorward") is None
    assert only_cookie_value([(b"cookie", b"__Host-doorward")], "__Host-doorward") is None
    assert only_cookie_value([(b"cookie", b"=__Host-doorward=a")], "__Host-doorward") is None


def test_host_stays_public_unless_the_service_wants_its_local_name() -> None:
    request = [
        (b"host", b"notes.example.test"),
        (b"origin", b"https://notes.example.test"),
        (b"referer", b"https://notes.example.test/a?b"),
    ]
    assert inbound(*request)[:3] == request
    local = inbound(*request, local=HostRewrite("localhost:8888"))
    assert local[:3] == [
        (b"host", b"localhost:8888"),
        (b"origin", b"http://localhost:8888"),
        (b"referer", b"http://localhost:8888/a?b"),
    ]


def test_a_foreign_origin_is_not_turned_into_the_local_one() -> None:
    foreign = [(b"origin", b"https://notes.example.test.evil.test"), (b"referer", b"https://evil.test/")]
    assert inbound(*foreign, local=HostRewrite("localhost:8888"))[:2] == foreign


def test_the_edges_address_is_believed_only_when_it_is_one_address() -> None:
    def ip(*forwarded: bytes) -> str:
        headers = [(b"x-forwarded-for", value) for value in forwarded]
        return visitor_of(headers, peer_ip="192.0.2.1", scheme="https", host="h").ip

    assert ip(b"203.0.113.9") == "203.0.113.9"
    assert ip(b"2001:db8::1") == "2001:db8::1"
    assert ip() == "192.0.2.1"
    assert ip(b"203.0.113.9", b"10.0.0.1") == "192.0.2.1"
    assert ip(b"203.0.113.9, 10.0.0.1") == "192.0.2.1"
    assert ip(b"<script>") == "192.0.2.1"


@pytest.mark.parametrize(
    ("given_value", "kept"),
    [
        (b"a=1", b"a=1"),
        (
            b"a=1; Path=/; HttpOnly; SameSite=None; Secure; Partitioned",
            b"a=1; Path=/; HttpOnly; SameSite=None; Secure; Partitioned",
        ),
        (b"a=1; Domain=example.test; Path=/", b"a=1; Path=/"),
        (b"a=1; DOMAIN=.example.test", b"a=1"),
        (b"a=1;domain=x;Domain=y; Max-Age=5", b"a=1; Max-Age=5"),
        (b"a=1; domain = x", b"a=1"),
        (b"a=1;\tdomain=x", b"a=1"),
        (b"a=1; Domain", b"a=1"),
        (b"a=domain=x; Path=/", b"a=domain=x; Path=/"),
        (b"__Host-own=1; Secure; Path=/", b"__Host-own=1; Secure; Path=/"),
        (b"__Host-doorward=1; Secure; Path=/", None),
        (b"__host-DOORWARD-nonce=1; Secure; Path=/", None),
        (b" __Host-doorward=1", None),
        (b"__Host-doorward =1", None),
        (b"\t__Host-doorward=1", None),
        (b"=__Host-doorward=1", None),
        (b"__Host-doorward", None),
        (b"__session=1", None),
        (b"__session_x=1", None),
        (b"__client_uat=1", None),
        (b"__clerk_x=1", None),
        (b"__refresh_x=1", None),
        (b"", b""),
    ],
)
def test_a_service_sets_cookies_for_its_own_host_and_its_own_names_only(
    given_value: bytes, kept: bytes | None
) -> None:
    assert confine_set_cookie(given_value) == kept


def test_a_service_cannot_speak_for_the_gate() -> None:
    sent = outbound_headers(
        [
            (b"doorward-gate", b"https://evil.test/gate"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"__session=1"),
        ],
        public_origin="https://notes.example.test",
        host_rewrite=None,
    )
    assert sent == [(b"set-cookie", b"a=1")]


def test_a_redirect_to_the_local_name_is_put_back() -> None:
    def location(value: bytes, local: HostRewrite | None) -> bytes:
        origin = "https://notes.example.test"
        return outbound_headers([(b"location", value)], public_origin=origin, host_rewrite=local)[0][1]

    local = HostRewrite("localhost:8888")
    assert location(b"http://localhost:8888/a", local) == b"https://notes.example.test/a"
    assert location(b"http://localhost:8888", local) == b"https://notes.example.test"
    assert location(b"http://localhost:88881/a", local) == b"http://localhost:88881/a"
    assert location(b"/a", local) == b"/a"
    assert location(b"http://localhost:8888/a", None) == b"http://localhost:8888/a"

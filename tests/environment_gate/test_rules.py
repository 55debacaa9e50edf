"""The gate's decisions, and every way past them that we could think of."""

from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.environment.gate.rules import (
    approach_of,
    is_foreign_to_cookie,
    is_opaque_secret,
    is_own_form,
    nonce_hash,
    only_header,
    safe_return_path,
    sign_in_location,
)

OWN = "https://notes.example.test"
NAVIGATE = [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]


@pytest.mark.parametrize(
    ("method", "headers", "approach"),
    [
        (b"GET", NAVIGATE, "navigation"),
        (b"GET", [(b"accept", b"text/html,application/xhtml+xml")], "navigation"),
        (b"GET", [(b"accept", b"TEXT/HTML")], "navigation"),
        (b"POST", NAVIGATE, "request"),
        (b"HEAD", NAVIGATE, "request"),
        (b"get", NAVIGATE, "request"),
        (b"GET", [], "request"),
        (b"GET", [(b"accept", b"*/*")], "request"),
        (b"GET", [(b"accept", b"application/json, text/html")], "request"),
        (b"GET", [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"iframe")], "request"),
        (b"GET", [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"frame")], "request"),
        (b"GET", [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"embed")], "request"),
        (
            b"GET",
            [(b"sec-fetch-mode", b"cors"), (b"sec-fetch-dest", b"empty"), (b"accept", b"text/html")],
            "request",
        ),
        (b"GET", [(b"sec-fetch-mode", b"no-cors"), (b"sec-fetch-dest", b"document")], "request"),
        (b"GET", [(b"sec-fetch-mode", b"navigate")], "request"),
        (b"GET", [(b"sec-fetch-dest", b"document"), (b"accept", b"text/html")], "request"),
        (b"GET", [*NAVIGATE, (b"sec-fetch-mode", b"cors")], "request"),
        (b"GET", [(b"accept", b"text/html"), (b"accept", b"*/*")], "request"),
    ],
)
def test_only_a_person_opening_a_page_is_sent_to_sign_in(
    method: bytes, headers: list[tuple[bytes, bytes]], approach: str
) -> None:
    assert approach_of(method, headers, is_upgrade=False) == approach


def test_an_upgrade_is_never_a_navigation() -> None:
    assert approach_of(b"GET", NAVIGATE, is_upgrade=True) == "upgrade"


@pytest.mark.parametrize(
    "origin",
    [
        None,
        b"null",
        b"https://evil.test",
        b"http://notes.example.test",
        b"https://other.example.test",
        b"https://notes.example.test:8443",
        b"https://notes.example.test.evil.test",
        b"https://notes.example.test/",
        b"HTTPS://notes.example.test",
        b"",
    ],
)
def test_a_websocket_with_a_cookie_needs_the_services_own_origin(origin: bytes | None) -> None:
    headers = [] if origin is None else [(b"origin", origin)]
    assert is_foreign_to_cookie(b"GET", headers, is_upgrade=True, own_origin=OWN)


def test_a_websocket_of_the_services_own_page_is_not_foreign() -> None:
    assert not is_foreign_to_cookie(b"GET", [(b"origin", OWN.encode())], is_upgrade=True, own_origin=OWN)


def test_two_origins_are_no_origin() -> None:
    twice = [(b"origin", OWN.encode()), (b"origin", OWN.encode())]
    assert is_foreign_to_cookie(b"GET", twice, is_upgrade=True, own_origin=OWN)
    assert is_foreign_to_cookie(b"POST", twice, is_upgrade=False, own_origin=OWN)
    assert not is_own_form(twice, own_origin=OWN)


@pytest.mark.parametrize(
    ("method", "headers", "foreign"),
    [
        (b"POST", [(b"origin", b"https://other.example.test")], True),
        (b"POST", [(b"origin", b"null")], True),
        (b"DELETE", [(b"sec-fetch-site", b"same-site")], True),
        (b"POST", [(b"sec-fetch-site", b"cross-site")], True),
        (b"PATCH", [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"cross-site")], True),
        (b"POST", [(b"origin", OWN.encode())], False),
        (b"POST", [(b"sec-fetch-site", b"same-origin")], False),
        (b"POST", [], False),
    ],
)
def test_a_sibling_service_cannot_post_with_the_visitors_cookie(
    method: bytes, headers: list[tuple[bytes, bytes]], foreign: bool
) -> None:
    assert is_foreign_to_cookie(method, headers, is_upgrade=False, own_origin=OWN) is foreign


SIBLING = (b"sec-fetch-site", b"same-site")


@pytest.mark.parametrize(
    ("method", "headers", "foreign"),
    [
        (b"GET", [SIBLING, (b"sec-fetch-mode", b"no-cors"), (b"sec-fetch-dest", b"script")], True),
        (b"GET", [SIBLING, (b"sec-fetch-mode", b"no-cors"), (b"sec-fetch-dest", b"image")], True),
        (b"GET", [SIBLING, (b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"iframe")], True),
        (b"GET", [SIBLING, (b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"object")], True),
        (b"HEAD", [SIBLING, *NAVIGATE], True),
        (b"GET", [(b"sec-fetch-site", b"same-origin"), SIBLING], True),
        (b"GET", [(b"origin", b"https://other.example.test")], True),
        (b"GET", [SIBLING, *NAVIGATE], False),
        (b"GET", [(b"sec-fetch-site", b"cross-site"), *NAVIGATE], False),
        (b"GET", [(b"sec-fetch-site", b"none"), *NAVIGATE], False),
        (b"GET", [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-dest", b"script")], False),
        (b"GET", [(b"sec-fetch-site", b"same-origin"), (b"sec-fetch-dest", b"iframe")], False),
        (b"GET", [(b"origin", OWN.encode())], False),
        (b"GET", [], False),
    ],
)
def test_a_sibling_service_may_link_to_a_page_but_not_load_or_frame_it_as_the_visitor(
    method: bytes, headers: list[tuple[bytes, bytes]], foreign: bool
) -> None:
    assert is_foreign_to_cookie(method, headers, is_upgrade=False, own_origin=OWN) is foreign


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "evil",
        "https://evil.test/",
        "//evil.test/",
        "///evil.test",
        "/\\evil.test",
        "/\\/evil.test",
        "\\\\evil.test",
        "/a\\b",
        "/\t/evil.test",
        "/\n/evil.test",
        "/%0d\r\nSet-Cookie: x=1",
        "/a b",
        "/ä",
        "/\x00",
        "javascript:alert(1)",
        "/.doorward/callback?code=x",
        "/.doorward/",
        "/.doorward",
        "/.doorward?x",
        "/" + "a" * 2048,
    ],
)
def test_return_never_leads_off_this_host_nor_into_a_loop(path: str | None) -> None:
    assert safe_return_path(path) == "/"


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/b?c=d&e=%2F%2F", "/a//b", "/?next=https://x.test", "/.well-known/x", "/@x"]
)
def test_return_keeps_an_ordinary_path(path: str) -> None:
    assert safe_return_path(path) == path


@given(st.text(alphabet=st.sampled_from("/\\.:@?#%\t\n abcdoorwrd"), max_size=24))
def test_a_return_path_resolves_to_the_same_origin(path: str) -> None:
    parts = urlsplit(urljoin(OWN + "/gate", safe_return_path(path)))
    assert f"{parts.scheme}://{parts.netloc}" == OWN


@pytest.mark.parametrize(
    "value", [None, "", "a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "\n", "é" * 43, "a" * 42 + "%"]
)
def test_what_we_did_not_make_is_never_looked_up(value: str | None) -> None:
    assert not is_opaque_secret(value)


def test_a_repeated_singleton_header_is_absent() -> None:
    assert only_header([(b"host", b"a"), (b"host", b"a")], b"host") is None


def test_the_sign_in_url_carries_the_nonces_hash_and_not_the_nonce() -> None:
    nonce = "n" * 43
    location = sign_in_location(
        "https://box.example.test",
        service_host="notes.example.test",
        nonce=nonce,
        return_path="/a?b=c&service=evil",
    )
    query = parse_qs(urlsplit(location).query)
    assert location.startswith("https://box.example.test/gate?")
    assert nonce not in location
    assert query == {
        "service": ["notes.example.test"],
        "nonce": [nonce_hash(nonce)],
        "return": ["/a?b=c&service=evil"],
    }

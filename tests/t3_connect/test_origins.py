"""Issuers and origins."""

import pytest

from doorward.t3_connect import (
    InsecureOrigin,
    environment_issuer,
    is_loopback_host,
    is_secure_endpoint,
    normalize_issuer,
    secure_origin,
)


@pytest.mark.parametrize("text", ["https://r", "https://r/", " https://r// ", "\ufeffhttps://r///\n"])
def test_an_issuer_has_no_trailing_slash(text) -> None:
    assert normalize_issuer(text) == "https://r"


def test_an_environment_is_an_issuer_by_its_id() -> None:
    assert environment_issuer("e1") == "t3-env:e1"


@pytest.mark.parametrize(
    "url, origin",
    [
        ("https://r.example", "https://r.example"),
        ("https://r.example/", "https://r.example"),
        ("https://r.example///", "https://r.example"),
        (" HTTPS://R.Example:443/ ", "https://r.example"),
        ("https://r.example:8443", "https://r.example:8443"),
        ("https://127.0.0.1:8444", "https://127.0.0.1:8444"),
        ("http://relay.localhost:8080", "http://relay.localhost:8080"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_a_secure_origin_is_normalised(url, origin) -> None:
    assert secure_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "r.example",
        "http://r.example",
        "http://127.0.0.1",
        "http://[::1]",
        "http://localhost.evil.example",
        "http://evillocalhost",
        "https://u@r.example",
        "https://u:p@r.example",
        "https://r.example/x",
        "https://r.example/?",
        "https://r.example?q",
        "https://r.example/#",
        "https://r.example#f",
        "wss://r.example",
        "ftp://r.example",
        "https://",
    ],
)
def test_anything_else_is_no_secure_origin(url) -> None:
    with pytest.raises(InsecureOrigin):
        secure_origin(url)


@pytest.mark.parametrize(
    "http, ws, is_secure",
    [
        ("https://h/", "wss://h/ws", True),
        ("http://h/", "wss://h/ws", False),
        ("https://h/", "ws://h/ws", False),
        ("https://h/", "https://h/ws", False),
        ("wss://h/", "wss://h/ws", False),
        ("http://a.localhost:1/", "ws://a.localhost:1/ws", True),
        ("http://127.0.0.1/", "ws://127.0.0.1/ws", False),
        ("", "wss://h/ws", False),
        ("https://h/", "nonsense", False),
    ],
)
def test_an_endpoint_is_encrypted_or_never_leaves_the_machine(http, ws, is_secure) -> None:
    assert is_secure_endpoint(http, ws) is is_secure


def test_loopback_is_three_names() -> None:
    for host in ("127.0.0.1", "::1", "[::1]", "localhost", " LocalHost "):
        assert is_loopback_host(host)
    for host in ("", "127.0.0.2", "0.0.0.0", "localhost.", "x.localhost", "::", "192.168.1.10"):
        assert not is_loopback_host(host)

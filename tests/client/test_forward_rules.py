"""Who may use a forwarder: it lends this device's rights to whatever connects."""

import pytest

from doorward.client.forward import foreign_reason
from doorward.http1 import RequestHead

PORT = 9000


def head(**headers):
    named = {"host": "127.0.0.1:9000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return RequestHead(b"GET", b"/", [(name.encode(), value.encode()) for name, value in named.items()])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:9000"},
        {"host": "[::1]:9000"},
        {"origin": "http://127.0.0.1:9000", "sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
    ],
)
def test_its_own_pages_and_programs_pass(headers):
    assert foreign_reason(head(**headers), PORT) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example:9000"},
        {"host": "127.0.0.1"},
        {"host": "127.0.0.1:9001"},
        {"host": "localhost.example:9000"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9001"},
        {"origin": "https://127.0.0.1:9000"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_foreign_hosts_and_pages_are_refused(headers):
    assert foreign_reason(head(**headers), PORT)

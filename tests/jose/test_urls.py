"""The request URL as WHATWG URL serialises it, without query and fragment."""

import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.jose import normalize_url

SAME = [
    ("https://a.example", "https://a.example/"),
    ("https://a.example/", "https://a.example/"),
    ("HTTPS://A.Example:443/X", "https://a.example/X"),
    ("http://a.example:80/", "http://a.example/"),
    ("http://a.example:443/", "http://a.example:443/"),
    ("https://a.example:0443/", "https://a.example/"),
    ("https://a.example:/x", "https://a.example/x"),
    ("https://a.example:8443/x?q#f", "https://a.example:8443/x"),
    ("https://a.example?q", "https://a.example/"),
    ("https://a.example#f", "https://a.example/"),
    ("https://a.example/x?/y/../z", "https://a.example/x"),
    ("https://a.example/%7e%2F%c3%A9", "https://a.example/%7e%2F%c3%A9"),
    ("https://a.example/é b", "https://a.example/%C3%A9%20b"),
    ('https://a.example/a"b<c>d`e{f}g^h', "https://a.example/a%22b%3Cc%3Ed%60e%7Bf%7Dg^h"),
    ("https://a.example/a|b'c(d)e[f]", "https://a.example/a|b'c(d)e[f]"),
    ("https://a.example/a/../b/./c", "https://a.example/b/c"),
    ("https://a.example/a/..", "https://a.example/"),
    ("https://a.example/a/b/..", "https://a.example/a/"),
    ("https://a.example/a/.", "https://a.example/a/"),
    ("https://a.example/../../x", "https://a.example/x"),
    ("https://a.example/a/%2e%2E/b/%2e/c", "https://a.example/b/c"),
    ("https://a.example/.../..a", "https://a.example/.../..a"),
    ("https://a.example//x//", "https://a.example//x//"),
    ("https://a.example//../x", "https://a.example/x"),
    ("https:\\\\a.example\\x\\y", "https://a.example/x/y"),
    (" https://a.example/x\n", "https://a.example/x"),
    ("https://a.ex\tample/x\r\ny", "https://a.example/xy"),
    ("http://127.0.0.1:3773/x", "http://127.0.0.1:3773/x"),
    ("http://[::1]:80/", "http://[::1]/"),
    ("http://[0:0:0:0:0:0:0:1]:81/", "http://[::1]:81/"),
    ("http://[2001:DB8::A]/", "http://[2001:db8::a]/"),
    ("http://[::ffff:1.2.3.4]/", "http://[::ffff:102:304]/"),
    ("wss://a.example:443/ws", "wss://a.example/ws"),
    ("ws://x.localhost:80/ws", "ws://x.localhost/ws"),
    ("https://a.example./x", "https://a.example./x"),
    ("https://a_b.example/x", "https://a_b.example/x"),
]
REFUSED = [
    "",
    "/x",
    "a.example/x",
    "https:",
    "https://",
    "https:///x",
    "https:/a.example",
    "ftp://a.example/",
    "file:///etc/passwd",
    "javascript://a.example/",
    "https://u@a.example/",
    "https://u:p@a.example/",
    "https://a.example:x/",
    "https://a.example:65536/",
    "https://a.example:-1/",
    "https://a b/",
    "https://a%41/",
    "https://é.example/",
    "https://[::1/",
    "https://[zz]/",
    "https://::1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.0.0.1/",
    "http://127.0.0.256/",
    "http://1.2.3.4.5/",
    "http://a.0x1/",
    "http://[::1%25eth0]/",
]


@pytest.mark.parametrize("url, expected", SAME)
def test_a_url_has_one_spelling(url, expected) -> None:
    assert normalize_url(url) == expected
    assert normalize_url(expected) == expected


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_no_plain_web_url_is_refused(url) -> None:
    with pytest.raises(ValueError):
        normalize_url(url)


def in_browsers(urls: list[str]) -> list[str | None]:
    script = """
    const urls = JSON.parse(require("fs").readFileSync(0));
    process.stdout.write(JSON.stringify(urls.map(u => { try { const p = new URL(u);
      p.search = ""; p.hash = ""; return p.href } catch { return null } })));
    """
    done = subprocess.run(
        ["node", "-e", script], input=json.dumps(urls), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(
    shutil.which("node") is None, reason="node, the reference for WHATWG URL, is not installed"
)
def test_node_spells_them_the_same() -> None:
    assert in_browsers([url for url, _ in SAME]) == [expected for _, expected in SAME]


@pytest.mark.skipif(
    shutil.which("node") is None, reason="node, the reference for WHATWG URL, is not installed"
)
def test_node_agrees_on_every_path_of_odd_characters() -> None:
    odd = [chr(code) for code in range(0x20, 0x180) if chr(code) not in "?#"] + ["\U0001f511", "\u2028"]
    urls = [f"https://a.example/x{character}y/" for character in odd]
    assert [normalize_url(url) for url in urls] == in_browsers(urls)


@given(st.text(max_size=30) | st.text("htps:/.a%2e?#[]@0123\\ ", max_size=30).map("https://".__add__))
def test_a_normal_form_is_a_fixed_point(text) -> None:
    try:
        once = normalize_url(text)
    except ValueError:
        return
    assert normalize_url(once) == once
    assert "?" not in once and "#" not in once and "@" not in once.split("/")[2]

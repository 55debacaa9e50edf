"""The key-set cache: one request at a time, old keys through an outage, new keys at once."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from doorward.jose import KeySet, UnknownKey, generate_key
from doorward.verify import JwksCache, KeySetUnavailable
from doorward.verify.jwks import fetch_url

FIRST = generate_key("ES256", kid="k1")
SECOND = generate_key("ES256", kid="k2")
pytestmark = pytest.mark.anyio


def key_set(*keys):
    return json.dumps(KeySet(key.public for key in keys).to_jwks()).encode()


class Issuer:
    """An issuer whose answer and clock the test sets; it counts how often it was asked."""

    def __init__(self) -> None:
        self.answer: bytes | Exception = key_set(FIRST)
        self.asked = 0
        self.now = 1000.0
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self, url: str) -> bytes:
        assert url == "https://issuer.example/jwks"
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def cache(self, **options) -> JwksCache:
        return JwksCache("https://issuer.example/jwks", fetch=self.fetch, clock=lambda: self.now, **options)


async def test_keys_are_fetched_when_first_needed_and_then_kept() -> None:
    issuer = Issuer()
    cache = issuer.cache(max_age=300)
    assert issuer.asked == 0
    for _ in range(5):
        assert [key.kid for key in await cache.keys()] == ["k1"]
    issuer.now += 299.9
    await cache.keys()
    assert issuer.asked == 1
    issuer.now += 0.1
    await cache.keys()
    assert issuer.asked == 2


async def test_concurrent_callers_share_one_request() -> None:
    issuer = Issuer()
    issuer.gate.clear()
    cache = issuer.cache()
    callers = [asyncio.create_task(cache.keys()) for _ in range(20)]
    await asyncio.sleep(0)
    issuer.gate.set()
    assert len({id(keys) for keys in await asyncio.gather(*callers)}) == 1
    assert issuer.asked == 1


async def test_a_caller_that_gives_up_does_not_take_the_answer_along() -> None:
    issuer = Issuer()
    issuer.gate.clear()
    cache = issuer.cache()
    impatient, patient = asyncio.create_task(cache.keys()), asyncio.create_task(cache.keys())
    await asyncio.sleep(0)
    impatient.cancel()
    issuer.gate.set()
    assert len(await patient) == 1
    assert issuer.asked == 1


@pytest.mark.parametrize(
    "answer", [OSError("down"), b"", b"<html>", b"{}", b'{"keys":[]}', b'{"keys":5}', b"[]", b"\xff"]
)
async def test_old_keys_serve_through_an_outage(answer) -> None:
    issuer = Issuer()
    cache = issuer.cache(max_age=300, min_refetch=10)
    await cache.keys()
    issuer.answer = answer
    issuer.now += 1000
    for _ in range(3):
        assert [key.kid for key in await cache.keys()] == ["k1"]
    assert issuer.asked == 2
    issuer.answer = key_set(SECOND)
    issuer.now += 10
    assert [key.kid for key in await cache.keys()] == ["k2"]


async def test_an_outage_shows() -> None:
    issuer = Issuer()
    cache = issuer.cache(max_age=300, min_refetch=10)
    await cache.keys()
    assert not cache.is_stale
    issuer.answer, issuer.now = OSError("down"), issuer.now + 301
    await cache.keys()
    assert cache.is_stale
    assert isinstance(cache.failure, OSError)
    issuer.answer, issuer.now = key_set(FIRST), issuer.now + 10
    await cache.keys()
    assert not cache.is_stale
    assert cache.failure is None


def test_threads_and_coroutines_share_the_keys() -> None:
    issuer = Issuer()
    fetched = []

    def fetch_blocking(url: str) -> bytes:
        fetched.append(url)
        return key_set(FIRST)

    cache = issuer.cache(fetch_blocking=fetch_blocking)
    assert [key.kid for key in cache.keys_blocking()] == ["k1"]
    assert [key.kid for key in asyncio.run(cache.keys())] == ["k1"]
    assert (len(fetched), issuer.asked) == (1, 0)
    issuer.now += 10
    cache.keys_for_blocking("k9")
    cache.keys_for_blocking("k9")
    assert len(fetched) == 2


def test_each_event_loop_may_ask_in_its_turn() -> None:
    issuer = Issuer()
    cache = issuer.cache(max_age=0, min_refetch=0)
    for asked in (1, 2, 3):
        asyncio.run(cache.keys())
        assert issuer.asked == asked


async def test_a_set_of_too_many_keys_is_none() -> None:
    issuer = Issuer()
    made = FIRST.public.to_jwk()
    issuer.answer = json.dumps({"keys": [made | {"kid": f"k{n}"} for n in range(101)]}).encode()
    with pytest.raises(KeySetUnavailable):
        await issuer.cache().keys()


@pytest.mark.parametrize("answer", [OSError("down"), b"{}", b'{"keys":[]}'])
async def test_without_any_keys_the_caller_is_told_so(answer) -> None:
    issuer = Issuer()
    issuer.answer = answer
    cache = issuer.cache(min_refetch=10)
    for _ in range(3):
        with pytest.raises(KeySetUnavailable):
            await cache.keys()
    assert issuer.asked == 1
    issuer.answer, issuer.now = key_set(FIRST), issuer.now + 10
    assert await cache.keys()


async def test_an_unknown_key_causes_one_fetch_and_no_more_for_a_while() -> None:
    issuer = Issuer()
    cache = issuer.cache(min_refetch=10)
    await cache.keys()
    issuer.answer, issuer.now = key_set(FIRST, SECOND), issuer.now + 10
    assert (await cache.check(lambda keys: keys.find("k2", "ES256"))).kid == "k2"
    assert issuer.asked == 2
    for _ in range(50):
        with pytest.raises(UnknownKey):
            await cache.check(lambda keys: keys.find("invented", "ES256"))
    assert issuer.asked == 2
    issuer.now += 9.9
    with pytest.raises(UnknownKey):
        await cache.check(lambda keys: keys.find("invented", "ES256"))
    assert issuer.asked == 2
    issuer.now += 0.1
    with pytest.raises(UnknownKey):
        await cache.check(lambda keys: keys.find("invented", "ES256"))
    assert issuer.asked == 3


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answers = {
            "/jwks": (200, key_set(FIRST)),
            "/moved": (302, b""),
            "/big": (200, b" " * 1_000_001),
            "/no": (500, b""),
            "/host": (200, self.headers["host"].encode()),
        }
        status, body = answers[self.path]
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/jwks")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def origin():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


async def test_keys_come_over_http_from_this_machine(origin) -> None:
    assert [key.kid for key in await JwksCache(f"{origin}/jwks").keys()] == ["k1"]


async def test_a_name_below_localhost_is_this_machine_whatever_a_resolver_knows(origin) -> None:
    named = origin.replace("127.0.0.1", "no-resolver-knows-this.localhost")
    assert await fetch_url(f"{named}/host") == named.removeprefix("http://").encode()


@pytest.mark.parametrize("path", ["/moved", "/big", "/no"])
async def test_a_redirect_a_failure_or_a_huge_answer_is_no_key_set(origin, path) -> None:
    with pytest.raises(OSError):
        await fetch_url(origin + path)
    with pytest.raises(KeySetUnavailable):
        await JwksCache(origin + path).keys()


@pytest.mark.parametrize(
    "url",
    ["http://issuer.example/jwks", "file:///etc/passwd", "ftp://localhost/", "", "http://localhost.example/"],
)
async def test_keys_are_never_fetched_in_the_clear(url) -> None:
    with pytest.raises(OSError):
        await fetch_url(url)

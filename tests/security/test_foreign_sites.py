"""A page of another site makes its visitor's browser ask us. Whatever the route, the visitor's cookies do nothing for it.

What such a page can send without our consent is a "simple" request: GET or POST, one of three media types, no header
of ours (Fetch Standard, CORS-safelisted requests).
"""

from __future__ import annotations

import itertools
import re

import httpx
import pytest

from tests.environment.conftest import LOCAL, PUBLIC, Machine, MakeMachine
from tests.identity_pages.world import World
from tests.relay.world import World as RelayWorld
from tests.security.routes import CHANGING, environment_ways, identity_ways, relay_ways
from tests.security.rows import rows

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"
SIMPLE = (FORM, "multipart/form-data; boundary=x", "text/plain")
FOREIGN = (
    {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    {"origin": "null"},
    # a service behind the gate: the same site to a browser, where SameSite cookies go along
    {"origin": "http://notebook.env.localhost:8080", "sec-fetch-site": "same-site"},
    {"sec-fetch-site": "same-site"},
)
REFUSALS = re.compile(r"origin_invalid|origin_missing|csrf_token_invalid|was sent from another site")

#: Routes that take no cookie: their caller brings a credential in the request itself.
WITHOUT_COOKIES = {
    "/oauth/token",
    "/oauth/token/revoke",
    "/oauth/token_info",
    "/oauth/device_authorization",
    "/oauth/register",
    "/oauth/userinfo",
}
#: OpenID Connect Core §3.1.2.1 lets a form of another site start a sign-in. It changes nothing here, and what comes of
#: it goes to the application's registered address.
STARTED_FROM_ELSEWHERE = {"/oauth/authorize"}


async def test_no_route_of_the_accounts_server_does_anything_for_another_site(
    accounts: World, signed_in: httpx.AsyncClient
):
    identity = accounts.identity
    ways = identity_ways(identity)
    posts = {way.path for way in ways if way.method in CHANGING}
    assert len(posts) > 40, "the routes were not found"
    before = await rows(identity.database)
    assert before["identity_users"] and before["identity_sessions"]
    unprotected = []
    back_end = {path for path in posts if path.startswith("/api/")}
    assert len(back_end) > 40, "the Backend API was not found"
    for path in sorted(back_end):
        answer = await signed_in.post(path, content=b"a=b", headers={**FOREIGN[0], "content-type": FORM})
        # No cookie opens it: without a key in the request itself nobody is let in.
        assert answer.status_code in (401, 404, 405), (path, answer.text[:200])
    forgeries = [
        *itertools.product(FOREIGN, SIMPLE, [""]),
        *itertools.product(FOREIGN[:1], SIMPLE[:1], ["?_method=PATCH", "?_method=PUT", "?_method=DELETE"]),
    ]
    for path in sorted(posts - back_end - WITHOUT_COOKIES - STARTED_FROM_ELSEWHERE):
        for headers, media_type, override in forgeries:
            sent = {**headers, "content-type": media_type}
            answer = await signed_in.post(path + override, content=b"a=b", headers=sent)
            is_no_route = answer.status_code == 405 or "No such route" in answer.text
            if not is_no_route and not REFUSALS.search(answer.text):
                unprotected.append((path + override, sent, answer.status_code, answer.text[:200]))
    assert not unprotected, unprotected
    assert await rows(identity.database) == before


async def test_routes_without_cookies_answer_a_stranger_and_a_signed_in_browser_alike(
    accounts: World, signed_in: httpx.AsyncClient
):
    stranger = httpx.AsyncClient(
        transport=httpx.ASGITransport(accounts.identity.app), base_url=accounts.origin
    )
    before = await rows(accounts.identity.database)
    async with stranger:
        for path in sorted(WITHOUT_COOKIES):
            answers = [
                await browser.post(path, content=b"client_id=doorward-cli", headers={"content-type": FORM})
                for browser in (stranger, signed_in)
            ]
            assert answers[0].status_code == answers[1].status_code, path
            assert "set-cookie" not in answers[1].headers, path
            if path != "/oauth/device_authorization":  # every answer of it is another code
                told = [re.sub(r"[0-9a-f]{32}", "trace", answer.text) for answer in answers]
                assert told[0] == told[1], path
    for path in STARTED_FROM_ELSEWHERE:
        await signed_in.post(path, content=b"client_id=doorward-cli", headers={"content-type": FORM})
    assert await rows(accounts.identity.database) == before


async def test_no_route_of_the_relay_knows_a_cookie(wire: RelayWorld, signed_in: httpx.AsyncClient):
    cookie = "; ".join(f"{name}={value}" for name, value in signed_in.cookies.items())
    ways = relay_ways(wire.relay)
    assert len(ways) > 10, "the routes were not found"
    for way in ways:
        for headers in FOREIGN:
            sent = {**headers, "content-type": "text/plain"}
            with_cookie = await wire.http.request(way.method, way.path, headers={**sent, "cookie": cookie})
            without = await wire.http.request(way.method, way.path, headers=sent)
            assert with_cookie.status_code == without.status_code, way
            assert "set-cookie" not in with_cookie.headers, way
            assert with_cookie.headers["access-control-allow-origin"] == "*", way
            assert "access-control-allow-credentials" not in with_cookie.headers, way


# The machine.

#: Signed requests, key-bound exchanges: the caller brings its credential in the request.
MACHINE_WITHOUT_COOKIES = {
    "/oauth/token",
    "/api/t3-connect/health",
    "/api/t3-connect/mint-credential",
    "/api/connect/mint-credential",
}


async def owners_cookies(machine: Machine) -> str:
    """Both sessions a browser of the owner may hold."""
    credential = (await machine.environment.pairing.one_time_link()).rpartition("=")[2]
    opened = await machine.local.post("/api/auth/browser-session", json={"credential": credential})
    authority = f"machine.localhost:{machine.environment.port}"
    token = (await machine.environment.pairing.one_time_link()).rpartition("=")[2]
    page = await machine.local.post(
        "/connections/open",
        json={"token": token},
        headers={"host": authority, "origin": f"http://{authority}"},
    )
    assert (opened.status_code, page.status_code) == (200, 200), (opened.text, page.text)
    machine.local.cookies.clear()
    return "; ".join(answer.headers["set-cookie"].partition(";")[0] for answer in (opened, page))


async def machine_state(machine: Machine) -> object:
    environment = machine.environment
    found = await rows(environment.database)
    return found, environment.approvals.mode(), environment.link.relay_origin()


@pytest.fixture
async def machine(make_machine: MakeMachine) -> Machine:
    made = await make_machine(remote_admin=True)
    device = made.device()
    await made.ask_mint(device)
    return made


def foreign_approaches(port: int) -> list[dict[str, str]]:
    """What arrives from a page of another site, and from one whose name was rebound to 127.0.0.1."""
    own = f"127.0.0.1:{port}"
    rebound = f"evil.example:{port}"
    return [
        *({**headers, "host": own} for headers in FOREIGN),
        {"host": own, "origin": "http://127.0.0.1:1"},
        {"host": f"machine.localhost:{port}", "origin": "http://machine.localhost:1"},
        {"host": rebound, "origin": f"http://{rebound}", "sec-fetch-site": "same-origin"},
        {"host": rebound},
        {"host": own, "origin": f"http://{own}", "sec-fetch-site": "cross-site"},
        {"host": own, "origin": f"http://{own}", "x-forwarded-host": "evil.example"},
    ]


@pytest.mark.parametrize("media_type", SIMPLE)
async def test_no_route_of_a_machine_does_anything_for_another_site_with_its_owners_cookies(
    machine: Machine, media_type: str
):
    cookies = await owners_cookies(machine)
    ways = [way for way in environment_ways(machine.environment.loopback_app) if way.method in CHANGING]
    assert len(ways) > 20, "the routes were not found"
    before = await machine_state(machine)
    unprotected = []
    for way in ways:
        for headers in foreign_approaches(machine.environment.port):
            sent = {**headers, "content-type": media_type, "cookie": cookies}
            answer = await machine.local.request(way.method, way.path, content=b"{}", headers=sent)
            if way.path in MACHINE_WITHOUT_COOKIES:
                del sent["cookie"]
                alone = await machine.local.request(way.method, way.path, content=b"{}", headers=sent)
                is_refused = alone.status_code == answer.status_code >= 400
            else:
                # 415: a media type that only our own pages may send, after a preflight nobody foreign passes
                is_refused = answer.status_code in (401, 403, 415) or (
                    answer.status_code == 400 and "machine.localhost" not in headers["host"]
                )
            if not is_refused or "set-cookie" in answer.headers:
                unprotected.append((str(way), headers, answer.status_code, answer.text[:200]))
    assert not unprotected, unprotected
    assert await machine_state(machine) == before


async def test_through_the_tunnel_no_cookie_counts_at_any_route(machine: Machine):
    cookies = await owners_cookies(machine)
    before = await machine_state(machine)
    for way in environment_ways(machine.environment.tunnel_app):
        if way.path == "/connections/events":
            continue  # a stream; its asker is looked for in the same way as for its neighbours
        sent = {"content-type": "application/json", "origin": PUBLIC}
        kept = await machine.public.request(
            way.method, way.path, content=b"{}", headers={**sent, "cookie": cookies}
        )
        without = await machine.public.request(way.method, way.path, content=b"{}", headers=sent)
        assert kept.status_code == without.status_code, way
        assert "set-cookie" not in kept.headers, way
    assert await machine_state(machine) == before


async def test_looking_at_every_route_of_a_machine_changes_nothing(machine: Machine):
    cookies = await owners_cookies(machine)
    before = await machine_state(machine)
    for door, app, base in (
        (machine.local, machine.environment.loopback_app, LOCAL),
        (machine.public, machine.environment.tunnel_app, PUBLIC),
    ):
        for way in environment_ways(app):
            if way.method == "GET" and way.path != "/connections/events":
                await door.get(f"{base}{way.path}", headers={"cookie": cookies})
    assert await machine_state(machine) == before

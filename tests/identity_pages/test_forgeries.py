"""What pages refuse and what they do not tell."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from doorward.identity.pages.forms import MAX_FORM_BYTES
from doorward.identity.settings import RateLimit, RateLimits
from tests.conftest import OpenTestDatabase
from tests.identity_pages.visitors import Visitor
from tests.identity_pages.world import PASSWORD, SCHEMAS, World, new_address, world

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def visitor(accounts: World) -> AsyncIterator[Visitor]:
    async with Visitor(accounts) as visitor:
        yield visitor


FOREIGN = [
    {"origin": "https://evil.example"},
    {"origin": "http://notebook.env.localhost:8080"},
    {"origin": "null"},
    {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(
    "path",
    [
        "/sign-in",
        "/sign-up",
        "/sign-out",
        "/account/password",
        "/account/sessions/end",
        "/account/sessions/end-others",
        "/oauth-consent",
        "/device",
        "/device/decide",
        "/sign-in/forgot",
        "/sign-in/confirm",
    ],
)
async def test_a_form_of_another_site_changes_nothing(
    visitor: Visitor, path: str, headers: dict[str, str]
) -> None:
    refused = await visitor.post(path, headers=headers, email="ada@example.com", password=PASSWORD)
    assert refused.status_code in (400, 403)
    assert "set-cookie" not in refused.headers
    assert "<h1>" in refused.text


async def test_a_forged_sign_out_leaves_the_person_signed_in(visitor: Visitor) -> None:
    await visitor.sign_up(new_address())
    await visitor.post("/sign-out", headers={"origin": "https://evil.example"})
    assert (await visitor.get("/account")).status_code == 200
    await visitor.post("/sign-out")
    assert (await visitor.get("/account")).headers["location"].startswith("/sign-in")


async def test_nothing_is_changed_by_looking(visitor: Visitor) -> None:
    await visitor.sign_up(new_address())
    assert (await visitor.get("/sign-out")).status_code in (404, 405)
    assert (await visitor.get("/account/sessions/end-others")).status_code in (404, 405)
    assert (await visitor.get("/account")).status_code == 200


async def test_a_session_of_somebody_else_cannot_be_ended(accounts: World, visitor: Visitor) -> None:
    await visitor.sign_up(new_address())
    stranger = Visitor(accounts)
    await stranger.sign_up(new_address())
    page = await stranger.get("/account/sessions")
    found = re.search(r'name="session" value="(\w+)"', page.text)
    assert found
    refused = await visitor.post("/account/sessions/end", session=found[1])
    assert refused.status_code == 404
    assert (await stranger.get("/account")).status_code == 200
    await stranger.http.aclose()


def told(page: httpx.Response, *varying: str) -> str:
    """The page without what differs for every visitor."""
    text = re.sub(r'nonce="[^"]*"', "", page.text)
    for part in varying:
        text = text.replace(part, "…")
    return re.sub(r"sia_\w+|sua_\w+", "…", text)


async def test_signing_in_tells_no_address_with_an_account_from_one_without(
    accounts: World, visitor: Visitor
) -> None:
    known, unknown = new_address(), new_address()
    await Visitor(accounts).sign_up(known)
    answers = [
        await visitor.post("/sign-in", email=address, password="not the password")
        for address in (known, unknown)
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert told(answers[0], known) == told(answers[1], unknown)


@pytest.mark.parametrize("path", ["/sign-up", "/sign-in/forgot"])
async def test_neither_does_signing_up_nor_forgetting_a_password(
    accounts: World, visitor: Visitor, path: str
) -> None:
    known, unknown = new_address(), new_address()
    await Visitor(accounts).sign_up(known)
    pages = []
    for address in (known, unknown):
        sent = await visitor.post(path, email=address, password=PASSWORD)
        assert sent.status_code == 303
        pages.append(await visitor.get(sent.headers["location"]))
    assert told(pages[0], known) == told(pages[1], unknown)


async def test_an_attempt_is_worth_nothing_in_another_browser(accounts: World, visitor: Visitor) -> None:
    address = new_address()
    sent = await visitor.post("/sign-up", email=address, password=PASSWORD)
    stranger = Visitor(accounts)
    assert (await stranger.get(sent.headers["location"])).headers["location"] == "/sign-up"
    attempt = sent.headers["location"].partition("attempt=")[2]
    refused = await stranger.post(
        "/sign-up/verify", attempt=attempt, code=await accounts.newest_code(address)
    )
    assert refused.headers["location"] == "/sign-up"
    assert (await stranger.get("/account")).status_code == 303
    await stranger.http.aclose()


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"email=a&email=b", FORM, 400),
        (b"email=%ff", FORM, 400),
        (b"email=\xff", FORM, 400),
        (b"&".join(b"a%d=1" % number for number in range(100)), FORM, 400),
        (b"email=" + b"a" * MAX_FORM_BYTES, FORM, 413),
        (b"{}", "application/json", 415),
        (b"", "multipart/form-data; boundary=x", 415),
    ],
)
async def test_a_form_no_page_of_ours_sends_is_refused(
    visitor: Visitor, body: bytes, media_type: str, status: int
) -> None:
    refused = await visitor.http.post(
        "/sign-in", content=body, headers={"origin": visitor.world.origin, "content-type": media_type}
    )
    assert refused.status_code == status
    assert "<h1>" in refused.text


async def test_what_a_person_typed_comes_back_as_text(visitor: Visitor) -> None:
    text = '"><script>alert(1)</script>'
    answer = await visitor.post("/sign-in", email=text, password="x", redirect_url=text)
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


async def test_too_many_attempts_say_when_to_come_back(open_test_database: OpenTestDatabase) -> None:
    limits = RateLimits(sign_in_per_ip=RateLimit(1, 60_000))
    async with world(await open_test_database(*SCHEMAS), limits=limits) as opened:
        visitor = Visitor(opened)
        answers = [await visitor.post("/sign-in", email="a@example.com", password="x") for _ in range(2)]
        await visitor.http.aclose()
    assert answers[1].status_code == 429
    assert int(answers[1].headers["retry-after"]) > 0
    assert re.search(r"Too many attempts\. Try again in \d+ seconds\.", answers[1].text)


async def test_the_inbox_is_only_there_in_development(open_test_database: OpenTestDatabase) -> None:
    async with world(await open_test_database(*SCHEMAS), development=False) as opened:
        visitor = Visitor(opened)
        assert (await visitor.get("/dev/inbox")).status_code == 404
        assert "inbox" not in (await visitor.get("/sign-up")).text
        await visitor.http.aclose()


async def test_where_sign_up_is_by_invitation_a_stranger_is_told_and_a_ticket_opens_it(
    open_test_database: OpenTestDatabase,
) -> None:
    async with world(await open_test_database(*SCHEMAS), sign_up="invite-only") as opened:
        visitor = Visitor(opened)
        closed = await visitor.get("/sign-up")
        assert "Accounts are by invitation" in closed.text
        assert 'type="password"' not in closed.text
        assert "Create one" not in (await visitor.get("/sign-in")).text
        assert (await visitor.post("/sign-up", email="a@example.com", password=PASSWORD)).status_code == 403
        dead = await visitor.get("/sign-up?__clerk_ticket=nonsense")
        assert "This invitation was used or is too old." in dead.text
        url = await opened.identity.administrator_invitation()
        assert url is not None
        invited = await visitor.get(url)
        assert "This account will run the server." in invited.text
        address, ticket = new_address(), url.partition("__clerk_ticket=")[2]
        sent = await visitor.post("/sign-up", email=address, password=PASSWORD, ticket=ticket)
        attempt = re.search(r"attempt=(\w+)", sent.headers["location"])
        assert attempt
        code = await opened.newest_code(address)
        await visitor.post("/sign-up/verify", attempt=attempt[1], code=code)
        assert "Administrator of this server" in (await visitor.get("/account")).text
        assert "This invitation was used or is too old." in (await Visitor(opened).get(url)).text
        await visitor.http.aclose()


async def test_where_there_is_no_page_people_get_one_and_programs_a_line(visitor: Visitor) -> None:
    page = await visitor.get("/nowhere")
    assert page.status_code == 404
    assert "There is nothing here" in page.text
    line = await visitor.http.get("/nowhere", headers={"accept": "application/json"})
    assert (line.status_code, line.text) == (404, "not found\n")


async def test_a_wrong_method_is_told_with_the_right_ones(visitor: Visitor) -> None:
    answer = await visitor.get("/sign-out")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


async def test_an_error_of_ours_shows_no_trace_of_its_cause(
    accounts: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr(accounts.identity.sessions, "current", broken)
    transport = httpx.ASGITransport(accounts.identity.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=accounts.origin) as client:
        page = await client.get("/machines", headers={"accept": "text/html"})
    assert page.status_code == 500
    assert "Something went wrong" in page.text
    assert 'href="/machines"' in page.text
    assert "secret cause" not in page.text

"""How a code becomes a cookie on a service host, and every way in which it must not."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest

import doorward.web
from doorward.environment.access import MACHINE
from doorward.environment.gate.rules import nonce_hash
from tests.conftest import ClockForTests
from tests.environment_gate.machine import NONCE, Machine

pytestmark = pytest.mark.anyio

NONCE_COOKIE = {"cookie": f"__Host-doorward-nonce={NONCE}"}


async def code_of(machine: Machine, *, host: str | None = None) -> str:
    _, issued = await machine.session()
    return await machine.environment.children.issue_code(
        issued.session.id, host or machine.host, nonce_hash(NONCE)
    )


async def test_a_code_with_its_nonce_becomes_a_host_only_cookie(machine: Machine) -> None:
    code = await code_of(machine)
    response = await machine.ask(
        f"/.doorward/callback?code={code}&return={quote('/a?b=c', safe='')}", headers=NONCE_COOKIE
    )
    assert response.status_code == 303
    assert response.headers["location"] == "/a?b=c"
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("__Host-doorward=")
    assert cookie.endswith("; Path=/; Max-Age=900; Secure; HttpOnly; SameSite=Lax")
    opened = await machine.ask("/a", headers={"cookie": cookie.partition(";")[0]})
    assert opened.status_code == 200


async def test_a_code_works_once(machine: Machine) -> None:
    code = await code_of(machine)
    path = f"/.doorward/callback?code={code}"
    assert (await machine.ask(path, headers=NONCE_COOKIE)).status_code == 303
    again = await machine.ask(path, headers=NONCE_COOKIE)
    assert again.status_code == 400
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        f"__Host-doorward-nonce={'m' * 43}",
        f"__Host-doorward-nonce={NONCE}; __Host-doorward-nonce={'m' * 43}",
        f"Doorward-nonce={NONCE}",
        f"__host-doorward-nonce={NONCE}",
    ],
)
async def test_a_code_without_this_browsers_nonce_is_worth_nothing(machine: Machine, cookie: str) -> None:
    code = await code_of(machine)
    response = await machine.ask(
        f"/.doorward/callback?code={code}", headers={"cookie": cookie} if cookie else {}
    )
    assert response.status_code == 400
    assert "set-cookie" not in response.headers


async def test_a_code_for_another_host_is_worth_nothing(machine: Machine) -> None:
    code = await code_of(machine, host=f"photos.env.localhost:{machine.port}")
    assert (await machine.ask(f"/.doorward/callback?code={code}", headers=NONCE_COOKIE)).status_code == 400


async def test_a_code_is_worth_nothing_after_half_a_minute(machine: Machine, clock: ClockForTests) -> None:
    code = await code_of(machine)
    clock.advance(30_000)
    assert (await machine.ask(f"/.doorward/callback?code={code}", headers=NONCE_COOKIE)).status_code == 400


async def test_a_code_is_worth_nothing_once_its_device_is_revoked(machine: Machine) -> None:
    key, issued = await machine.session()
    code = await machine.environment.children.issue_code(issued.session.id, machine.host, nonce_hash(NONCE))
    await machine.environment.approvals.revoke(MACHINE, key.public.thumbprint)
    assert (await machine.ask(f"/.doorward/callback?code={code}", headers=NONCE_COOKIE)).status_code == 400


@pytest.mark.parametrize(
    "target",
    [
        "//evil.test/",
        "/\\evil.test",
        "https://evil.test/",
        "/\t/evil.test",
        "javascript:1",
        "/.doorward/callback",
    ],
)
async def test_the_way_back_never_leaves_the_host(machine: Machine, target: str) -> None:
    code = await code_of(machine)
    path = f"/.doorward/callback?code={code}&return={quote(target, safe='')}"
    assert (await machine.ask(path, headers=NONCE_COOKIE)).headers["location"] == "/"


async def test_two_codes_or_two_ways_back_are_none(machine: Machine) -> None:
    code = await code_of(machine)
    twice = await machine.ask(f"/.doorward/callback?code={code}&code={code}", headers=NONCE_COOKIE)
    assert twice.status_code == 400
    ways = await machine.ask(f"/.doorward/callback?code={code}&return=/a&return=/b", headers=NONCE_COOKIE)
    assert ways.headers["location"] == "/"


async def test_who_reloads_with_a_spent_code_and_a_good_cookie_goes_on(machine: Machine) -> None:
    code = await code_of(machine)
    first = await machine.ask(f"/.doorward/callback?code={code}", headers=NONCE_COOKIE)
    cookie = f"{first.headers['set-cookie'].partition(';')[0]}; __Host-doorward-nonce={NONCE}"
    again = await machine.ask(f"/.doorward/callback?code={code}&return=/x", headers={"cookie": cookie})
    assert (again.status_code, again.headers["location"]) == (303, "/x")


async def test_the_page_of_a_dead_link_leads_on_and_runs_nothing(machine: Machine) -> None:
    response = await machine.ask(
        "/.doorward/callback?code=x&return=/a%22%3E%3Cscript%3E", headers=NONCE_COOKIE
    )
    assert response.status_code == 400
    assert "<script" not in response.text
    assert "default-src 'none'" in response.headers["content-security-policy"]


async def test_our_pages_on_a_service_host_say_whose_they_are_and_look_as_the_others(
    machine: Machine,
) -> None:
    """Without a stylesheet or a picture to link, each carries its own copy of the mark and the colours."""
    static = Path(doorward.web.__file__).parent / "static"
    (mark,) = re.findall(r' d="[^"]+"', (static / "mark.svg").read_text())
    colours = re.findall(r"#[0-9a-f]{6}", (static / "doorward.css").read_text())
    dead = await machine.ask("/.doorward/callback?code=x", headers=NONCE_COOKIE)
    left = await machine.ask("/.doorward/sign-out", method="POST", headers={"origin": machine.origin})
    for page in (dead.text, left.text):
        assert "<dt>Machine</dt><dd>Study desk</dd>" in page
        assert f"{mark}/></svg>Doorward</header>" in page
        assert " · Doorward</title>" in page
        used = re.findall(r"#[0-9a-f]{6}", page)
        assert len(used) == 14
        assert set(used) <= set(colours)


@pytest.mark.parametrize("path", ["/.doorward", "/.doorward/", "/.doorward/other", "/.doorward/callback/x"])
async def test_our_own_paths_never_reach_the_service(machine: Machine, path: str) -> None:
    assert (await machine.ask(path, headers=await machine.cookie())).status_code == 404


async def test_callback_takes_get_and_sign_out_takes_post(machine: Machine) -> None:
    assert (await machine.ask("/.doorward/callback", method="POST")).status_code == 405
    assert (await machine.ask("/.doorward/sign-out")).status_code == 405


async def test_signing_out_ends_this_browsers_session_at_the_service(machine: Machine) -> None:
    headers = await machine.cookie()
    response = await machine.ask(
        "/.doorward/sign-out", method="POST", headers=headers | {"origin": machine.origin}
    )
    assert response.status_code == 200
    assert "Signed out" in response.text
    cleared = response.headers.get_list("set-cookie")
    assert [value.partition(";")[0] for value in cleared] == ["__Host-doorward=", "__Host-doorward-nonce="]
    assert all("Max-Age=0" in value for value in cleared)
    assert (await machine.ask("/", headers=headers)).status_code == 401


@pytest.mark.parametrize("origin", [None, "null", "https://evil.test", "sibling"])
async def test_no_other_page_can_sign_a_visitor_out(machine: Machine, origin: str | None) -> None:
    headers = await machine.cookie()
    sent = f"http://photos.env.localhost:{machine.port}" if origin == "sibling" else origin
    extra = {"origin": sent} if sent else {}
    assert (
        await machine.ask("/.doorward/sign-out", method="POST", headers=headers | extra)
    ).status_code == 403
    assert (await machine.ask("/", headers=headers)).status_code == 200

"""Who gets to decide on the machine's own page, and every way past it."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from doorward.environment.access import MACHINE
from doorward.environment.pages import connections
from doorward.environment.pages.doors import SESSION_COOKIE, require_machine_page, split_token
from doorward.environment.pages.errors import Refused
from doorward.environment.sessions.service import Caller
from doorward.jose import generate_key
from tests.environment_gate.machine import Machine
from tests.environment_pages.devices import knock

pytestmark = pytest.mark.anyio


def url(machine: Machine, path: str) -> str:
    return f"http://127.0.0.1:{machine.environment.port}{path}"


def page_of(machine: Machine) -> dict[str, str]:
    """What a browser sends from the page itself."""
    return {"host": machine.loopback, "origin": f"http://{machine.loopback}"}


async def opened(machine: Machine, link: str | None = None) -> dict[str, str]:
    """The headers of a page that was opened with a one-time link: both halves of its session."""
    link = link or await machine.environment.pairing.one_time_link()
    response = await machine.client.post(
        url(machine, "/connections/open"),
        json={"token": link.partition("#token=")[2]},
        headers=page_of(machine),
    )
    assert response.status_code == 200, response.text
    cookie = response.headers["set-cookie"].partition(";")[0]
    return page_of(machine) | {"cookie": cookie, "doorward-page": response.json()["pageKey"]}


async def decide(
    machine: Machine, headers: dict[str, str], thumbprint: str, decision: str = "approve"
) -> httpx.Response:
    return await machine.client.post(
        url(machine, "/connections/decisions"),
        json={"decision": decision, "thumbprint": thumbprint},
        headers=headers,
    )


async def status(machine: Machine, thumbprint: str) -> str:
    return await machine.environment.approvals.status(thumbprint)


async def test_the_link_works_once_and_its_cookie_is_for_this_page_alone(machine: Machine) -> None:
    link = await machine.environment.pairing.one_time_link()
    assert link.startswith(f"http://{machine.loopback}/connections/open#token=")
    token = link.partition("#token=")[2]
    response = await machine.client.post(
        url(machine, "/connections/open"), json={"token": token}, headers=page_of(machine)
    )
    cookie = response.headers["set-cookie"].lower()
    assert cookie.startswith("__host-doorward-machine=")
    for attribute in ("httponly", "samesite=strict", "secure", "path=/"):
        assert attribute in cookie
    assert "domain" not in cookie
    again = await machine.client.post(
        url(machine, "/connections/open"), json={"token": token}, headers=page_of(machine)
    )
    assert (again.status_code, again.json()["error"]) == (401, "link_spent")


async def test_a_page_with_both_halves_decides(machine: Machine) -> None:
    key = await knock(machine)
    assert (await decide(machine, await opened(machine), key.public.thumbprint)).status_code == 200
    assert await status(machine, key.public.thumbprint) == "approved"


async def test_either_half_of_the_session_alone_is_worth_nothing(machine: Machine) -> None:
    key = await knock(machine)
    mine, other = await opened(machine), await opened(machine)
    for headers in (
        {k: v for k, v in mine.items() if k != "doorward-page"},
        {k: v for k, v in mine.items() if k != "cookie"},
        mine | {"doorward-page": other["doorward-page"]},
        mine | {"cookie": other["cookie"]},
        mine | {"doorward-page": ""},
        mine | {"cookie": f"{SESSION_COOKIE}="},
        page_of(machine),
    ):
        refused = await decide(machine, headers, key.public.thumbprint)
        assert (refused.status_code, refused.json()["error"]) == (401, "sign_in_required")
    assert await status(machine, key.public.thumbprint) == "pending"


@pytest.mark.parametrize(
    "changed",
    [
        {"host": "127.0.0.1:{port}"},
        {"host": "localhost:{port}"},
        {"host": "rebound.evil.test:{port}"},
        {"host": "machine.localhost"},
        {"host": "machine.localhost:1"},
        {"host": "machine.localhost.:{port}"},
        {"host": "x.machine.localhost:{port}"},
        {"origin": "null"},
        {"origin": "http://machine.localhost:1"},
        {"origin": "https://machine.localhost:{port}"},
        {"origin": "http://evil.localhost:{port}"},
        {"origin": "http://127.0.0.1:{port}"},
        {"origin": None},
    ],
)
async def test_only_the_page_itself_at_its_own_name_and_port_decides(
    machine: Machine, changed: dict[str, str | None]
) -> None:
    key = await knock(machine)
    headers = await opened(machine)
    for name, value in changed.items():
        if value is None:
            del headers[name]
        else:
            headers[name] = value.format(port=machine.environment.port)
    refused = await decide(machine, headers, key.public.thumbprint)
    assert (refused.status_code, refused.json()["error"]) == (403, "foreign_origin")
    assert await status(machine, key.public.thumbprint) == "pending"


def test_two_hosts_or_two_origins_are_none() -> None:
    own = "http://machine.localhost:3773"
    require_machine_page(method="POST", hosts=["machine.localhost:3773"], origins=[own], port=3773)
    require_machine_page(method="GET", hosts=["machine.localhost:3773"], origins=[], port=3773)
    for method, hosts, origins in (
        ("POST", ["machine.localhost:3773"] * 2, [own]),
        ("POST", ["machine.localhost:3773"], [own, own]),
        ("GET", ["machine.localhost:3773"], ["http://evil.test"]),
        ("DELETE", ["machine.localhost:3773"], []),
        ("POST", [], [own]),
    ):
        with pytest.raises(Refused):
            require_machine_page(method=method, hosts=hosts, origins=origins, port=3773)


async def test_a_session_that_no_one_time_link_made_does_not_count_here(machine: Machine) -> None:
    _, device = await machine.session()
    link = await machine.environment.pairing.create(
        MACHINE, scopes=("access:read", "access:write"), label=None
    )
    bearer = await machine.environment.sessions.exchange(
        link.credential, method="bearer-access-token", thumbprint=None, requested_scopes=None, caller=Caller()
    )
    waiting = await knock(machine)
    for token in (device.token, bearer.token):
        cookie, page_key = split_token(token)
        headers = page_of(machine) | {"cookie": f"{SESSION_COOKIE}={cookie}", "doorward-page": page_key}
        assert (await decide(machine, headers, waiting.public.thumbprint)).status_code == 401
        headers = page_of(machine) | {"authorization": f"Bearer {token}"}
        assert (await decide(machine, headers, waiting.public.thumbprint)).status_code == 401
    assert await status(machine, waiting.public.thumbprint) == "pending"


async def test_a_session_with_standard_rights_may_neither_look_nor_decide(machine: Machine) -> None:
    link = await machine.environment.pairing.create(MACHINE, scopes=("orchestration:read",), label=None)
    headers = await opened(machine, f"http://{machine.loopback}/connections/open#token={link.credential}")
    key = await knock(machine)
    refused = await decide(machine, headers, key.public.thumbprint)
    assert (refused.status_code, refused.json()["error"]) == (403, "not_allowed")
    looked = await machine.client.get(url(machine, "/connections/events"), headers=headers)
    assert looked.status_code == 403


async def test_nothing_of_this_door_is_mounted_on_the_tunnel(machine: Machine) -> None:
    key = await knock(machine)
    headers = await opened(machine)
    for path in (
        "/connections/open",
        "/connections/events",
        "/connections/audit",
        "/connections/decisions",
        "/connections/mode",
        "/connections/link",
        "/connections/unlink",
    ):
        for method in ("GET", "POST"):
            response = await machine.ask(
                path,
                method=method,
                host=f"box-1.env.localhost:{machine.port}",
                headers={k: v for k, v in headers.items() if k != "host"},
            )
            assert response.status_code == 404
    # Where the accounts site's list of machines leads: how to decide at the machine, and nothing of it but its name.
    page = await machine.ask("/connections", host=f"box-1.env.localhost:{machine.port}", headers=headers)
    assert "Remote administration of this machine is off" in page.text
    assert "script" not in page.text.partition("</head>")[2]
    assert key.public.thumbprint not in page.text
    assert await status(machine, key.public.thumbprint) == "pending"


async def test_an_ended_session_decides_nothing_and_its_page_is_told(machine: Machine) -> None:
    headers = await opened(machine)
    lines: list[str] = []
    async with machine.client.stream("GET", url(machine, "/connections/events"), headers=headers) as stream:
        async for line in stream.aiter_lines():
            lines.append(line)
            if line.startswith("data: ") and "label" in line:
                state = json.loads(line.removeprefix("data: "))
                [current] = [session for session in state["sessions"] if session["isCurrent"]]
                await machine.environment.sessions.end(current["id"], by=MACHINE)
            if line == "event: ended":
                break
    assert "event: ended" in lines
    key = await knock(machine)
    assert (await decide(machine, headers, key.public.thumbprint)).status_code == 401


async def test_a_page_is_told_of_a_service_that_was_taken_back_before_it_looks_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOOK_AGAIN", 600.0)
    headers = await opened(machine)
    async with (
        asyncio.timeout(30),
        machine.client.stream("GET", url(machine, "/connections/events"), headers=headers) as stream,
    ):
        lines = stream.aiter_lines()
        while await anext(lines) != ": alive":
            pass
        await machine.environment.remove_service(MACHINE, "notes")
        while not (line := await anext(lines)).startswith("data: "):
            pass
    assert [service["name"] for service in json.loads(line.removeprefix("data: "))["services"]] == ["photos"]


async def test_opening_again_ends_the_session_this_browser_had(machine: Machine) -> None:
    former = await opened(machine)
    link = await machine.environment.pairing.one_time_link()
    response = await machine.client.post(
        url(machine, "/connections/open"), json={"token": link.partition("#token=")[2]}, headers=former
    )
    assert response.status_code == 200
    key = await knock(machine)
    assert (await decide(machine, former, key.public.thumbprint)).status_code == 401


async def test_administrators_are_made_only_where_remote_administration_is_on(machine: Machine) -> None:
    key = await knock(machine)
    refused = await decide(machine, await opened(machine), key.public.thumbprint, "approve-administrator")
    assert refused.status_code == 403
    assert await status(machine, key.public.thumbprint) == "pending"


async def test_a_decision_about_nobody_or_of_no_kind_says_so(machine: Machine) -> None:
    headers = await opened(machine)
    unknown = await decide(machine, headers, generate_key("ES256").public.thumbprint)
    assert (unknown.status_code, unknown.json()["error"]) == (404, "unknown_device")
    assert (await decide(machine, headers, "x", "promote")).status_code == 400
    sent = url(machine, "/connections/decisions")
    for body, kind in ((b"{", "application/json"), (b"x" * 9000, "application/json"), (b"{}", "text/plain")):
        response = await machine.client.post(sent, content=body, headers=headers | {"content-type": kind})
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_the_page_under_another_loopback_name_leads_to_its_own(machine: Machine) -> None:
    for name in ("127.0.0.1", "localhost"):
        response = await machine.client.get(
            url(machine, "/connections"), headers={"host": f"{name}:{machine.environment.port}"}
        )
        assert response.status_code == 307
        assert response.headers["location"] == f"http://{machine.loopback}/connections"

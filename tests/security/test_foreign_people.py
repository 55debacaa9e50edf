"""One person's things at the accounts server, and somebody else who knows the names of all of them, and even the codes.

Routes come from the application as it is assembled. A parameter that nobody gave an object here fails the tests.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import httpx
import pytest

from tests.identity.conftest import ORIGIN, PASSWORD, Browser, World
from tests.identity_backend_api.conftest import Backend
from tests.security.routes import CHANGING, identity_routes
from tests.security.rows import rows

pytestmark = pytest.mark.anyio

_PARAMETER = re.compile(r"\{(\w+)\}")

#: Parameters that name nobody's thing: a template is the instance's, so is an application and an image.
EVERYBODYS = {"template", "client_id", "image_id"}

#: Who is told what about another's thing. Nothing distinguishes it from one that never was.
NOT_FOUND, SIGNED_OUT = (404, "resource_not_found"), (401, "authentication_invalid")
NO_MEMBER = (404, "organization_not_found_or_unauthorized")
_SIGNED_OUT = {"/v1/client/": NOT_FOUND, "/v1/me/": SIGNED_OUT, "/v1/organizations/": SIGNED_OUT}
REFUSED = {
    "another person": {"/v1/client/": NOT_FOUND, "/v1/me/": NOT_FOUND, "/v1/organizations/": NO_MEMBER},
    "a browser without a person": _SIGNED_OUT,
    "a browser without cookies": _SIGNED_OUT,
}


class Owner(NamedTuple):
    """Ada, with one of everything a person can have: names by the parameter of a path."""

    browser: Browser
    #: Where the account is being made and the password was forgotten.
    joining: Browser
    things: dict[str, str]
    codes: dict[str, str]

    def filled(self, path: str) -> str | None:
        """None when the path names nothing of Ada's."""
        names = set(_PARAMETER.findall(path))
        assert names <= self.things.keys() | EVERYBODYS, f"give Ada one of {names - self.things.keys()}"
        if not names - EVERYBODYS:
            return None
        return _PARAMETER.sub(lambda match: self.things.get(match[1], "t3-relay"), path)

    def form(self, path: str) -> dict[str, str]:
        """All that the route might ask for, right if Ada sent it."""
        strategy, code = "email_code", self.codes["second@example.com"]
        if "/sign_ups/" in path or path.startswith("/sign-up"):
            code = self.codes["third@example.com"]
        elif "/sign_ins/" in path or path.startswith("/sign-in"):
            strategy, code = "reset_password_email_code", self.codes["first@example.com"]
        elif "/sessions/" in path:
            strategy = "password"
        return {
            "strategy": strategy,
            "code": code,
            "password": PASSWORD,
            "current_password": PASSWORD,
            "new_password": "another long way home",
            "level": "first_factor",
            "name": "acme.example",
            "role": "org:member",
            "email_address": "fourth@example.com",
            "affiliation_email_address": "it@first.example",
            "enrollment_mode": "manual_invitation",
            "attempt": self.things["sign_up_id" if path.startswith("/sign-up") else "sign_in_id"],
            "session": self.things["session_id"],
        }


@pytest.fixture
async def ada(backend: Backend) -> Owner:
    world = backend.world
    browser = await world.signed_up("first@example.com")
    session = await browser.session()
    emails = "/v1/me/email_addresses"
    email = await browser.post(f"{emails}?{_as(session)}", email_address="second@example.com")
    prepare = f"{emails}/{email['response']['id']}/prepare_verification?{_as(session)}"
    await browser.post(prepare, strategy="email_code")
    joining = world.browser()
    sign_up = await joining.post("/v1/client/sign_ups", email_address="third@example.com", password=PASSWORD)
    prepare = f"/v1/client/sign_ups/{sign_up['response']['id']}/prepare_verification"
    await joining.post(prepare, strategy="email_code")
    forgotten = {"identifier": "first@example.com", "strategy": "reset_password_email_code"}
    sign_in = await joining.post("/v1/client/sign_ins", **forgotten)
    things = {
        "session_id": session["id"],
        "email_id": email["response"]["id"],
        "sign_up_id": sign_up["response"]["id"],
        "sign_in_id": sign_in["response"]["id"],
        "user_id": session["user"]["id"],
        **await _organizations_of(backend, browser, session["user"]["id"]),
    }
    mailed = ("first@example.com", "second@example.com", "third@example.com")
    return Owner(browser, joining, things, {address: await world.code_for(address) for address in mailed})


async def _organizations_of(backend: Backend, browser: Browser, user_id: str) -> dict[str, str]:
    """One that Ada manages, with a domain, and one that invites her and is suggested to her."""
    modes = ["automatic_suggestion"]
    settings = {"enabled": True, "domains_enabled": True, "domains_enrollment_modes": modes}
    await backend.ask("PATCH", "/instance/organization_settings", json=settings)
    own = await backend.ask("POST", "/organizations", json={"name": "First", "created_by": user_id})
    domains = f"/organizations/{own['id']}/domains"
    domain = await backend.ask("POST", domains, json={"name": "first.example"})
    other = f"/organizations/{(await backend.ask('POST', '/organizations', json={'name': 'Other'}))['id']}"
    wish = {"email_address": "first@example.com", "role": "org:member"}
    invitation = await backend.ask("POST", f"{other}/invitations", json=wish)
    body = {"name": "example.com", "enrollment_mode": "automatic_suggestion", "verified": True}
    await backend.ask("POST", f"{other}/domains", json=body)
    suggestions = f"/v1/me/organization_suggestions?{_as(await browser.session())}"
    (suggestion,) = (await browser.get(suggestions))["response"]["data"]
    return {
        "organization_id": own["id"],
        "domain_id": domain["id"],
        "invitation_id": invitation["id"],
        "suggestion_id": suggestion["id"],
        "request_id": suggestion["id"],
    }


def _as(session: Any) -> str:
    return f"_clerk_session_id={session['id']}"


@pytest.fixture
async def others(backend: Backend) -> dict[str, tuple[httpx.AsyncClient, str]]:
    """Who asks, and the query they ask with."""
    world = backend.world
    mallory = await world.signed_up("mallory@example.com")
    session = await mallory.session()
    nobody = world.browser()
    await nobody.post("/v1/client")
    return {
        "another person": (mallory.http, _as(session)),
        "a browser without a person": (nobody.http, ""),
        "a browser without cookies": (world.browser().http, ""),
    }


async def rows_about(world: World, owner: Owner) -> list[str]:
    """Whatever is stored that names Ada or anything of hers."""
    names = {*owner.things.values(), *owner.codes}
    found = await rows(world.database)
    return sorted(row for table in found.values() for row in table if any(name in row for name in names))


def ways(world: World, owner: Owner) -> list[tuple[str, str]]:
    """Every method at every path of the Frontend API that names something of a person's."""
    found = []
    for path, methods in identity_routes(world.identity):
        filled = owner.filled(path) if path.startswith("/v1/") and "{path:path}" not in path else None
        if filled is not None:
            found += [(method, filled) for method in sorted(methods - {"HEAD"})]
    assert len({path for _, path in found}) > 15, "the routes were not found"
    return found


async def test_nobody_reads_or_changes_another_persons_things_by_their_names(
    backend: Backend, ada: Owner, others: dict[str, tuple[httpx.AsyncClient, str]]
):
    asked = ways(backend.world, ada)
    before = await rows_about(backend.world, ada)
    assert len(before) > 8
    wrong, answered = [], set()
    for who, (http, query) in others.items():
        for method, path in asked:
            form = ada.form(path) if method in CHANGING else None
            answer = await http.request(method, path, params=query, data=form)
            if answer.status_code == 405:
                continue
            answered.add(path)
            (expected,) = (told for start, told in REFUSED[who].items() if path.startswith(start))
            if (answer.status_code, answer.json()["errors"][0]["code"]) != expected:
                wrong.append((who, method, path, answer.status_code, answer.text[:160]))
    assert not wrong, wrong
    assert answered == {path for _, path in asked}
    assert await rows_about(backend.world, ada) == before


async def test_the_owner_is_answered_where_others_were_refused(backend: Backend, ada: Owner):
    query = _as({"id": ada.things["session_id"]})
    for method, path in ways(backend.world, ada):
        if method == "GET":
            browser = ada.joining if "/sign_" in path else ada.browser
            answer = await browser.http.get(path, params=query)
            assert answer.status_code in (200, 405), (path, answer.text)
    # The very form that others send is right.
    sign_up, sign_in = (ada.things[name] for name in ("sign_up_id", "sign_in_id"))
    for path in (
        f"/v1/client/sign_ins/{sign_in}/attempt_first_factor",
        f"/v1/client/sign_ups/{sign_up}/attempt_verification",
    ):
        await ada.joining.post(path, **ada.form(path))


async def test_a_session_that_a_request_names_counts_in_its_own_browser_alone(
    backend: Backend, ada: Owner, others: dict[str, tuple[httpx.AsyncClient, str]]
):
    query = _as({"id": ada.things["session_id"]})
    before = await rows_about(backend.world, ada)
    paths = {
        ada.filled(path) or path
        for path, _ in identity_routes(backend.world.identity)
        if path.startswith("/v1/me")
    }
    assert len(paths) > 8, "the routes were not found"
    wrong = []
    for who, (http, _) in others.items():
        for path in sorted(paths):
            path = path.replace("{client_id}", "doorward-cli")
            for method in ("GET", *CHANGING):
                form = ada.form(path) if method in CHANGING else None
                answer = await http.request(method, path, params=query, data=form)
                if answer.status_code not in (401, 405) or ada.things["user_id"] in answer.text:
                    wrong.append((who, method, path, answer.status_code, answer.text[:160]))
    assert not wrong, wrong
    assert await rows_about(backend.world, ada) == before


async def test_no_form_of_a_page_does_anything_about_another_persons_things(
    backend: Backend, ada: Owner, others: dict[str, tuple[httpx.AsyncClient, str]]
):
    paths = [
        path
        for path, methods in identity_routes(backend.world.identity)
        if "POST" in methods and not path.startswith(("/v1/", "/api/", "/oauth/"))
    ]
    assert len(paths) > 10, "the pages were not found"
    before = await rows_about(backend.world, ada)
    own = {"origin": ORIGIN}
    for who, (http, _) in others.items():
        for path in sorted(paths):
            answer = await http.post(path, data=ada.form(path), headers=own)
            assert answer.status_code < 500, (who, path, answer.text[:160])
            for name in ("first@example.com", "second@example.com", ada.things["user_id"]):
                assert name not in answer.text, (who, path)
    assert await rows_about(backend.world, ada) == before

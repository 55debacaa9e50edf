"""Every secret the accounts server hands out is shown once: no answer, no log and no byte of the database holds it after."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from doorward.identity.backend_api.catalogue import OPERATIONS
from doorward.store import Database, Tx
from tests.identity.conftest import ORIGIN, PASSWORD, World
from tests.identity_backend_api.conftest import Backend
from tests.identity_backend_api.inventory import Inventory, make_inventory
from tests.identity_backend_api.test_oauth_applications import OPAQUE, make_app, tokens_of
from tests.security.backend_credentials import CREDENTIALS, make_credentials

pytestmark = pytest.mark.anyio

#: Clerk's Backend API has these answer with what a program lost; only the instance's secret key may ask.
SHOWN_AGAIN = {
    "/machines/{machine_id}/secret_key": "machine's key",
    "/api_keys/{api_key_id}/secret": "API key",
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request: pytest.FixtureRequest) -> str:
    """What is kept is the database's business too."""
    return str(request.param)


async def every_secret(backend: Backend, inventory: Inventory) -> dict[str, str]:
    """One of each kind, as it was shown to whoever made it."""
    world = backend.world
    secrets = dict(inventory.secrets)
    credentials = await make_credentials(backend, inventory)
    for name in CREDENTIALS:
        kind, _, text = credentials[name].get("authorization", "").partition(" ")
        if kind == "Bearer" and len(text) > 20 and not text.startswith("pk_"):
            secrets[name] = text
    machine = inventory.ids["/machines"]
    rotated = await backend.ask(
        "POST", f"/machines/{machine}/secret_key/rotate", json={"previous_token_ttl": 3600}
    )
    secrets["machine's former key"] = secrets["machine's key"]
    secrets["machine's key"] = rotated["secret"]
    application = inventory.ids["/oauth_applications"]
    again = await backend.ask("POST", f"/oauth_applications/{application}/rotate_secret")
    secrets["OAuth client's new secret"] = again["client_secret"]
    hook = await world.identity.webhooks.create("https://hooks.example.org/second", actor=None)
    secrets["another webhook's secret"] = hook.secret
    rotated_hook = await world.identity.webhooks.rotate_secret(hook.endpoint.id, actor=None)
    secrets["webhook's new secret"] = rotated_hook.secret
    signing = base64.b64encode(b"a key that another system made, 32+ bytes").decode()
    await backend.ask(
        "POST",
        "/jwt_templates",
        json={
            "name": "own-key",
            "claims": {"a": 1},
            "custom_signing_key": True,
            "signing_algorithm": "HS256",
            "signing_key": signing,
        },
    )
    secrets["template's own signing key"] = signing
    browser = await world.signed_up("secrets@example.com")
    app = await make_app(backend, **OPAQUE)
    secrets["opaque refresh token"] = (await tokens_of(browser, app))["refresh_token"]
    secrets["unused authorization code"] = await browser.authorization_code()
    terminal = await world.browser(origin=None).post(
        "/oauth/device_authorization", client_id="doorward-cli", scope="openid"
    )
    secrets["device code"] = terminal["device_code"]
    secrets["browser's rotating token"] = _inside(browser.http.cookies["__client"])
    for name, path, body in (
        ("invitation", "/invitations", {"email_address": "ticket@example.com"}),
        (
            "organization's invitation",
            f"/organizations/{inventory.ids['/organizations']}/invitations",
            {"email_address": "ticket@example.com", "role": "org:member"},
        ),
    ):
        invited = await backend.ask("POST", path, json=body)
        secrets[name] = invited["url"].rpartition("=")[2]
    secrets["a person's password"] = PASSWORD
    assert len(set(secrets.values())) > 30
    assert all(len(secret) >= 16 for secret in secrets.values()), secrets
    return secrets


def _inside(cookie: str) -> str:
    """The token that the cookie carries, which is what is compared."""
    part = cookie.split(".")[1]
    claims: dict[str, str] = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims["rotating_token"]


async def stored(database: Database) -> list[tuple[str, str]]:
    """Each table's name and all that is in it, text and bytes alike."""

    def read(tx: Tx) -> list[tuple[str, str]]:
        listing = (
            "SELECT name FROM sqlite_master WHERE type = 'table'"
            if type(database).__name__.startswith("Sqlite")
            else "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
        )
        names = [str(row[0]) for row in tx.fetch_all(listing, ())]
        return [
            (name, "\n".join(_plain(value) for row in tx.fetch_all(f"SELECT * FROM {name}") for value in row))
            for name in names
        ]

    return await database.read(read)


def _plain(value: object) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, (bytes, memoryview)) else str(value)


async def every_answer(backend: Backend, inventory: Inventory) -> list[tuple[str, str]]:
    """What every reading operation answers, and lists with what they hide by themselves."""
    queries: dict[str, list[dict[str, str]]] = {
        "/m2m_tokens": [{"subject": inventory.ids["/machines"], "revoked": "true", "expired": "true"}],
        "/api_keys": [
            {"subject": inventory.ids[kind], "include_invalid": "true"}
            for kind in ("/users", "/organizations")
        ],
    }
    answers = []
    for operation in OPERATIONS:
        if operation.method == "GET":
            for query in queries.get(operation.path, [{}]):
                path = f"/api/v1{inventory.filled(operation.path)}"
                answer = await backend.http.get(path, params={"limit": "100", **query})
                assert answer.status_code == 200, (operation.path, answer.text)
                answers.append((operation.path, answer.text))
    return answers


def holding(places: list[tuple[str, str]], secrets: dict[str, str]) -> set[tuple[str, str]]:
    """Where which secret is. Of a JWT the signature is what makes it one."""
    return {
        (where, name)
        for where, text in places
        for name, secret in secrets.items()
        if (secret.rpartition(".")[2] if secret.count(".") == 2 else secret) in text
    }


async def test_no_secret_is_answered_again_logged_or_stored(
    backend: Backend, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    with caplog.at_level(logging.DEBUG):
        for known in ("httpx", "httpcore"):  # the test's own client
            logging.getLogger(known).setLevel(logging.WARNING)
        # Every event is told to somebody, so what webhooks say is stored too.
        await backend.world.identity.webhooks.create("https://hooks.example.org/in", actor=None)
        inventory = await make_inventory(backend.http)
        secrets = await every_secret(backend, inventory)
        await present(backend.world, secrets)
        answers = await every_answer(backend, inventory)
        await backend.world.identity.mails.drain()
        kept = await stored(backend.world.database)
        # What cannot be done at all is told at length.
        await backend.world.database.close()
        await present(backend.world, secrets)
    again = {(path, name) for path, name in holding(answers, secrets)}
    # The key of the inventory was replaced, and its answer shows the new one.
    assert again == set(SHOWN_AGAIN.items()) | {("/api_keys/{api_key_id}/secret", "an API key of a user")}
    assert caplog.text.count("Traceback") > len(secrets)
    assert not holding([("the log", caplog.text)], secrets)
    assert len(kept) > 30
    assert holding(kept, {"no secret": inventory.ids["/users"]}), "what is stored was not read"
    assert not holding(kept, secrets)
    assert not holding(files_in(tmp_path), secrets)


def files_in(folder: Path) -> list[tuple[str, str]]:
    """SQLite's file and its journal, deleted rows and all; none for PostgreSQL."""
    return [(path.name, path.read_bytes().decode("latin-1")) for path in folder.rglob("*.sqlite*")]


async def present(world: World, secrets: dict[str, str]) -> None:
    """Use each where it is not expected too: what is refused is what tends to be logged."""
    transport = httpx.ASGITransport(app=world.identity.app, raise_app_exceptions=False)
    http = httpx.AsyncClient(transport=transport, base_url=ORIGIN)
    world.browsers.append(http)
    for secret in secrets.values():
        headers = {"authorization": f"Bearer {secret}"}
        for path in ("/api/v1/users", "/api/v1/m2m_tokens", "/oauth/userinfo"):
            await http.get(path, headers=headers)
        await http.get("/v1/client", headers={"cookie": f"__client={secret}"})
        await http.get("/sign-up", params={"__clerk_ticket": secret})
        form: dict[str, Any] = {"grant_type": "refresh_token", "client_id": "doorward-cli"}
        await http.post("/oauth/token", data={**form, "refresh_token": secret})

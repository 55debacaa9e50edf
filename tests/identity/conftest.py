"""One identity on a real database, a browser that talks to it, and a mailbox to read codes from."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest

from doorward.identity import (
    SCHEMA,
    DevelopmentInbox,
    Identity,
    IdentitySettings,
    RateLimit,
    RateLimits,
    create_identity,
)
from doorward.identity.accounts.passwords import PasswordHasher
from doorward.identity.signing_keys import store as signing_keys
from doorward.identity.signing_keys.store import SigningKeyRecord
from doorward.store import Database, Sealer
from tests.conftest import ClockForTests, OpenTestDatabase

ORIGIN = "http://accounts.localhost:8080"
PASSWORD = "a quiet harbour at dusk"
CLI_REDIRECT = "http://127.0.0.1:34338/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
GATE = "http://mybox-1a2b.env.localhost:8080"

PLENTY = RateLimit(10_000, 10_000)
UNLIMITED = RateLimits(
    sign_in_per_ip=PLENTY,
    sign_up_per_ip=PLENTY,
    factor_attempt_per_ip=PLENTY,
    password_per_account=PLENTY,
    mail_per_address=PLENTY,
    device_per_ip=PLENTY,
    user_code_per_account=PLENTY,
    token_per_ip=PLENTY,
)

SETTINGS = IdentitySettings(
    origin=ORIGIN,
    development=True,
    sign_up="open",
    relay_origin="http://relay.localhost:8080",
    gate_zone="env.localhost:8080",
    limits=UNLIMITED,
)


@dataclass
class World:
    """An instance, and what a test does with it."""

    identity: Identity
    database: Database
    clock: ClockForTests
    sealer: Sealer
    inbox: DevelopmentInbox
    browsers: list[httpx.AsyncClient] = field(default_factory=list)

    def browser(self, *, ip: str = "203.0.113.7", origin: str | None = ORIGIN) -> Browser:
        transport = httpx.ASGITransport(app=self.identity.app, client=(ip, 50000))
        headers = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0.0.0 Safari/537.36"}
        if origin is not None:
            headers["origin"] = origin
        client = httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)
        self.browsers.append(client)
        return Browser(self, client)

    async def close(self) -> None:
        for client in self.browsers:
            await client.aclose()
        await self.identity.stop()

    async def code_for(self, address: str) -> str:
        """The newest code mailed to an address."""
        await self.identity.mails.drain()
        for received in self.inbox.messages:
            if received.mail.to == address and (match := re.search(r"\b(\d{6})\b", received.mail.text)):
                return match[1]
        raise AssertionError(f"no code was mailed to {address}")

    async def kinds_mailed_to(self, address: str) -> list[str]:
        await self.identity.mails.drain()
        return [received.mail.kind for received in self.inbox.messages if received.mail.to == address]

    async def signed_up(self, address: str = "ada@example.com", **fields: str) -> Browser:
        """A new browser in which `address` has just signed up."""
        browser = self.browser()
        await browser.sign_up(address, **fields)
        return browser


@dataclass
class Browser:
    world: World
    http: httpx.AsyncClient

    async def post(self, path: str, status: int = 200, **form: str) -> Any:
        response = await self.http.post(path, data=form)
        assert response.status_code == status, response.text[:400]
        return response.json()

    async def get(self, path: str, status: int = 200) -> Any:
        response = await self.http.get(path)
        assert response.status_code == status, response.text[:400]
        return response.json()

    async def sign_up(self, address: str, **fields: str) -> Any:
        started = await self.post(
            "/v1/client/sign_ups", email_address=address, **{"password": PASSWORD, **fields}
        )
        path = f"/v1/client/sign_ups/{started['response']['id']}"
        await self.post(f"{path}/prepare_verification", strategy="email_code")
        code = await self.world.code_for(address)
        done = await self.post(f"{path}/attempt_verification", strategy="email_code", code=code)
        assert done["response"]["status"] == "complete"
        return done

    async def sign_in(self, address: str, password: str = PASSWORD) -> Any:
        return await self.post("/v1/client/sign_ins", identifier=address, password=password)

    async def session(self) -> dict[str, Any]:
        client = (await self.get("/v1/client"))["response"]
        return client["sessions"][0]

    async def user_id(self) -> str:
        return (await self.session())["user"]["id"]

    async def authorize(self, **changes: str | None) -> httpx.Response:
        """The CLI's authorize request, with members changed or (None) left out."""
        params: dict[str, str | None] = {
            "client_id": "doorward-cli",
            "redirect_uri": CLI_REDIRECT,
            "response_type": "code",
            "scope": "openid profile email",
            "state": "a-long-enough-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return await self.http.get(
            "/oauth/authorize", params={name: value for name, value in params.items() if value is not None}
        )

    async def consent(self, location: str, *, consented: bool = True) -> httpx.Response:
        """Answer the consent page that authorize led to, as its form does."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        return await self.http.post(
            f"/v1/me/oauth/consent/{query['client_id']}",
            data={"consented": "true" if consented else "false", **query},
        )

    async def authorization_code(self, **changes: str | None) -> str:
        response = await self.authorize(**changes)
        assert response.status_code == 303, response.text
        location = response.headers["location"]
        if location.startswith(f"{ORIGIN}/oauth-consent"):
            location = (await self.consent(location)).headers["location"]
        return parse_qs(urlsplit(location).query)["code"][0]

    async def tokens(self, **changes: str) -> Any:
        return (await self.redeem(await self.authorization_code(), **changes)).json()

    async def redeem(self, code: str, **changes: str) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CLI_REDIRECT,
            "client_id": "doorward-cli",
            "code_verifier": VERIFIER,
            **changes,
        }
        return await self.http.post("/oauth/token", data=form)

    async def refresh(self, refresh_token: str, **changes: str) -> httpx.Response:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": "doorward-cli",
            **changes,
        }
        return await self.http.post("/oauth/token", data=form)


MakeWorld = Callable[..., Awaitable[World]]


def quick_hasher() -> PasswordHasher:
    """Argon2id with parameters that do not make tests wait."""
    return PasswordHasher(workers=2, time_cost=1, memory_kib=64)


#: What the first instance of this process signs with; the others find it, as an instance that starts again does. Making
#: an RSA key takes longer than most tests.
_SIGNING_KEYS: list[SigningKeyRecord] = []


async def new_world(database: Database, clock: ClockForTests, **changes: Any) -> World:
    """An instance on this database, with `SETTINGS` but for `changes`; `close` ends it."""
    sealer, inbox = Sealer(b"k" * 32), DevelopmentInbox(clock)
    settings = msgspec.structs.replace(SETTINGS, **changes)
    for key in _SIGNING_KEYS:
        await database.write(lambda tx, key=key: signing_keys.insert(tx, key))
    identity = await create_identity(
        settings, database, sealer=sealer, mailer=inbox, clock=clock, hasher=quick_hasher()
    )
    if not _SIGNING_KEYS:
        _SIGNING_KEYS.extend(await database.read(signing_keys.everything))
    return World(identity, database, clock, sealer, inbox)


@pytest.fixture
async def make_world(open_test_database: OpenTestDatabase, clock: ClockForTests) -> AsyncIterator[MakeWorld]:
    made: list[World] = []

    async def make(**changes: Any) -> World:
        made.append(await new_world(await open_test_database(SCHEMA), clock, **changes))
        return made[-1]

    yield make
    for world in made:
        await world.close()


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world()


def claims_of(jwt: str) -> dict[str, Any]:
    """The payload, unverified; tests that care verify it with another library."""
    part = jwt.split(".")[1]
    return msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def header_of(jwt: str) -> dict[str, Any]:
    part = jwt.split(".")[0]
    return msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def error_codes(body: dict[str, Any]) -> list[str]:
    return [error["code"] for error in body["errors"]]

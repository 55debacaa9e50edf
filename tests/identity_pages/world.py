"""An accounts origin and a relay on real sockets, and the ways a person goes through the pages."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from playwright.async_api import Browser, BrowserContext, Page

from doorward.identity import SCHEMA as IDENTITY_SCHEMA
from doorward.identity import Identity, create_identity
from doorward.identity.mail import DevelopmentInbox
from doorward.identity.settings import IdentitySettings, RateLimit, RateLimits
from doorward.outbound import Outbound
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.relay import RelaySettings, create_relay
from doorward.store import Database, Sealer, system_clock
from tests.web.browser import Complaints, follow, free_listener, served

SCHEMAS = (IDENTITY_SCHEMA, RELAY_SCHEMA)
PASSWORD = "quiet harbour lantern"

# Pages are driven faster than people go; the limits have tests of their own.
_AMPLE = RateLimit(10_000, 1_000)
AMPLE_LIMITS = RateLimits(
    sign_in_per_ip=_AMPLE,
    sign_up_per_ip=_AMPLE,
    factor_attempt_per_ip=_AMPLE,
    password_per_account=_AMPLE,
    code_resend_ms=0,
    mail_per_address=_AMPLE,
    device_per_ip=_AMPLE,
    user_code_per_account=_AMPLE,
)


@dataclass
class Callback:
    """Something at a loopback port that waits for its code: the command line, or a machine's gate."""

    port: int = 0
    answers: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/callback"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = urlsplit(request.split(" ")[1])
        if target.path.endswith("/callback"):
            self.answers.append(dict(parse_qsl(target.query)))
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\nconnection: close\r\n\r\ndone"
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def callback() -> AsyncIterator[Callback]:
    waiting = Callback()
    server = await asyncio.start_server(waiting.serve, "127.0.0.1", 0)
    waiting.port = server.sockets[0].getsockname()[1]
    async with server:
        yield waiting


async def newest_code(identity: Identity, inbox: DevelopmentInbox, address: str) -> str:
    """Of the newest mail to that address which has one."""
    await identity.mails.drain()
    for received in inbox.messages:
        found = re.search(r"\b\d{6}\b", received.mail.text)
        if received.mail.to == address and found:
            return found.group()
    raise AssertionError(f"no code was sent to {address}")


@dataclass(frozen=True)
class World:
    origin: str
    relay_origin: str
    identity: Identity
    inbox: DevelopmentInbox
    gate_zone: str
    gate: Callback

    async def context(self, browser: Browser, **options: object) -> tuple[BrowserContext, Complaints]:
        """A browser of somebody's own, and what it complains of."""
        context = await browser.new_context(**{"base_url": self.origin, **options})  # type: ignore[arg-type]
        return context, Complaints(context)

    async def newest_code(self, address: str) -> str:
        return await newest_code(self.identity, self.inbox, address)


@asynccontextmanager
async def world(database: Database, **settings: object) -> AsyncIterator[World]:
    accounts_socket, relay_socket = free_listener(), free_listener()
    origin = f"http://accounts.localhost:{accounts_socket.getsockname()[1]}"
    relay_origin = f"http://relay.localhost:{relay_socket.getsockname()[1]}"
    sealer, inbox = Sealer(secrets.token_bytes(32)), DevelopmentInbox(system_clock)
    async with AsyncExitStack() as stack:
        gate = await stack.enter_async_context(callback())
        gate_zone = f"env.localhost:{gate.port}"
        chosen = {
            "development": True,
            "sign_up": "open",
            "limits": AMPLE_LIMITS,
            "origin": origin,
            "relay_origin": relay_origin,
            "gate_zone": gate_zone,
            **settings,
        }
        outbound = Outbound()
        stack.push_async_callback(outbound.close)
        identity = await create_identity(
            IdentitySettings(**chosen),  # type: ignore[arg-type]
            database,
            sealer=sealer,
            mailer=inbox,
        )
        relay = await create_relay(
            RelaySettings(
                origin=relay_origin,
                zone="env.localhost",
                edge_url="http://edge.localhost:8080",
                accounts_issuer=origin,
                jwks_url=f"{origin}/.well-known/jwks.json",
            ),
            database,
            sealer=sealer,
            outbound=outbound,
        )
        for service in (identity, relay):
            await service.start()
            stack.push_async_callback(service.stop)
        await stack.enter_async_context(served(identity.app, accounts_socket))
        await stack.enter_async_context(served(relay.app, relay_socket))
        yield World(origin, relay_origin, identity, inbox, gate_zone, gate)


def new_address() -> str:
    return f"ada-{secrets.token_hex(4)}@example.com"


async def sign_up(page: Page, world: World, address: str, *, start: str = "/sign-up") -> None:
    """From nothing to the list of machines."""
    await page.goto(start)
    await page.get_by_label("E-mail address").fill(address)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await page.get_by_role("heading", name="Check your e-mail").wait_for()
    await page.get_by_label("Code").fill(await world.newest_code(address))
    await follow(page, page.get_by_role("button", name="Continue"))


async def sign_out(page: Page) -> None:
    """By the button in the navigation. The sign-in page is next."""
    await follow(page, page.get_by_role("navigation").get_by_role("button", name="Sign out"))


async def sign_in(page: Page, address: str, password: str = PASSWORD) -> None:
    """Gives the page that the sign-in, right or wrong, is answered with."""
    await page.goto("/sign-in")
    await page.get_by_label("E-mail address").fill(address)
    await page.get_by_label("Password", exact=True).fill(password)
    await follow(page, page.get_by_role("button", name="Sign in"))

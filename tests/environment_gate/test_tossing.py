"""Cookie tossing, in a real browser with sibling hosts over TLS.

On `localhost` names Chromium refuses `Domain` altogether, so a test there could not fail; on a domain of its own it
can: the control cookie proves that the sibling's cookies do arrive.
"""

from __future__ import annotations

import datetime
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.async_api import BrowserContext, Page

from doorward.environment.gate.rules import nonce_hash
from doorward.http1 import Answer, Peer, RequestHead
from doorward.http1.server import ProxyServer
from doorward.store import system_clock
from tests.environment_gate.machine import NONCE, Machine, bound_socket, running_machine
from tests.web.browser import chromium

pytestmark = [pytest.mark.anyio, pytest.mark.browser]

ZONE = "doorward.test"
TOSSED = "t" * 43
COOKIES = (
    f"__Host-doorward={TOSSED}; Domain={ZONE}; Path=/; Secure",
    f"__Host-doorward-nonce={TOSSED}; Domain={ZONE}; Path=/; Secure",
    f"__HOST-doorward={TOSSED}; Domain={ZONE}; Path=/; Secure",
    f"=__Host-doorward={TOSSED}; Domain={ZONE}; Path=/; Secure",
    f"=__Host-doorward-nonce={TOSSED}; Domain={ZONE}; Path=/; Secure",
    f"__Host-doorward; Domain={ZONE}; Path=/; Secure",
    f"__Host-doorward ={TOSSED}; Domain={ZONE}; Path=/; Secure",
    f"control=arrived; Domain={ZONE}; Path=/; Secure",
)


def certificate(folder: Path) -> ssl.SSLContext:
    """A self-made certificate for every host of the zone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ZONE)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"*.{ZONE}")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@asynccontextmanager
async def hostile_sibling(tls: ssl.SSLContext) -> AsyncIterator[str]:
    """A stranger's host of the same zone, which sets whatever it likes; its origin."""

    def answer(_: RequestHead, __: Peer) -> Answer:
        cookies = [(b"set-cookie", cookie.encode()) for cookie in COOKIES]
        return Answer(200, [(b"content-type", b"text/html"), *cookies], b"<title>evil</title>")

    where: socket.socket = bound_socket()
    server = ProxyServer(answer)
    await server.serve(where, ssl=tls)
    yield f"https://evil.{ZONE}:{where.getsockname()[1]}"
    await server.close(grace=0)


@pytest.fixture
async def tossed(anyio_backend: str, tmp_path: Path) -> AsyncIterator[tuple[Machine, Page, str]]:
    """A machine over TLS, a browser that was at the hostile sibling, and the sibling's origin."""
    tls = certificate(tmp_path)
    async with (
        running_machine(tmp_path / "home", system_clock, zone=ZONE, tls=tls) as machine,
        hostile_sibling(tls) as sibling,
        chromium(f"--host-resolver-rules=MAP *.{ZONE} 127.0.0.1", "--ignore-certificate-errors") as browser,
    ):
        context: BrowserContext = await browser.new_context(ignore_https_errors=True)
        page = await context.new_page()
        await page.goto(sibling)
        for cookie in COOKIES:
            await page.evaluate("(cookie) => { document.cookie = cookie; }", cookie)
        yield machine, page, sibling


async def let_in(machine: Machine, page: Page) -> None:
    """Give this browser a session at the service."""
    _, issued = await machine.session()
    child = await machine.child(issued.session.id)
    await page.context.add_cookies(
        [
            {
                "name": "__Host-doorward",
                "value": child.cookie,
                "url": machine.origin,
                "secure": True,
                "httpOnly": True,
                "sameSite": "Lax",
            }
        ]
    )


async def test_a_siblings_cookies_arrive_and_none_of_them_is_ours(tossed: tuple[Machine, Page, str]) -> None:
    machine, page, _ = tossed
    await let_in(machine, page)
    await page.goto(machine.origin)
    seen = json.loads(await page.locator("body").inner_text())
    cookies = dict(seen["headers"]).get("cookie", "")
    assert "control=arrived" in cookies
    assert TOSSED not in cookies
    assert "oorward" not in cookies


async def test_a_siblings_cookies_neither_open_the_service_nor_choose_its_nonce(
    tossed: tuple[Machine, Page, str],
) -> None:
    machine, page, _ = tossed
    _, issued = await machine.session()
    code = await machine.environment.children.issue_code(issued.session.id, machine.host, nonce_hash(TOSSED))
    landed = await page.goto(f"{machine.origin}/.doorward/callback?code={code}")
    assert landed is not None
    assert landed.status == 400
    async with page.expect_response(
        lambda response: "/gate?" in response.headers.get("location", "")
    ) as sent:
        await page.goto(machine.origin)
    location = (await sent.value).headers["location"]
    assert parse_qs(urlsplit(location).query)["nonce"] != [nonce_hash(TOSSED)]


async def test_a_sibling_page_can_neither_write_nor_open_a_websocket_with_the_visitors_cookie(
    tossed: tuple[Machine, Page, str],
) -> None:
    machine, page, sibling = tossed
    await let_in(machine, page)
    await page.goto(sibling)
    async with page.expect_response(f"{machine.origin}/") as written:
        await page.evaluate(
            "(url) => fetch(url, {method: 'POST', credentials: 'include', mode: 'no-cors'}).catch(() => null)",
            machine.origin,
        )
    assert (await written.value).status == 403
    opened = await page.evaluate(
        """(url) => new Promise((resolve) => {
          const socket = new WebSocket(url);
          socket.onopen = () => resolve("open");
          socket.onerror = () => resolve("refused");
        })""",
        machine.origin.replace("https", "wss") + "/socket",
    )
    assert opened == "refused"
    await page.goto(machine.origin)
    own = await page.evaluate(
        """(url) => new Promise((resolve) => {
          const socket = new WebSocket(url);
          socket.onopen = () => resolve("open");
          socket.onerror = () => resolve("refused");
        })""",
        machine.origin.replace("https", "wss") + "/socket",
    )
    assert own == "open"


async def test_a_service_behind_the_gate_reaches_no_other_host_with_its_cookies(
    tossed: tuple[Machine, Page, str],
) -> None:
    machine, page, _ = tossed
    await let_in(machine, page)
    await page.goto(f"{machine.origin}/cookies")
    kept = {c["name"]: c for c in await page.context.cookies(machine.origin)}
    assert kept["wide"]["domain"] == f"notes.{ZONE}"
    assert "__session" not in kept
    assert kept["__Host-doorward"]["value"] != "stolen"
    others = {c["name"] for c in await page.context.cookies(f"https://photos.{ZONE}:{machine.port}")}
    assert "wide" not in others
    assert NONCE not in str(others)

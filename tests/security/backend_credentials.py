"""Every kind of credential that exists, real ones, as somebody would send it to the Backend API."""

from __future__ import annotations

from typing import Any

from tests.identity.conftest import Browser, World
from tests.identity_backend_api.conftest import Backend
from tests.identity_backend_api.inventory import Inventory
from tests.identity_backend_api.test_oauth_applications import OPAQUE, make_app, tokens_of

GRACE_SECONDS = 60

#: What is no credential at all: `Authorization` is missing, or says nothing we read.
UNREADABLE = (
    "nothing",
    "a scheme without a key",
    "the secret key under another scheme",
    "the secret key without a scheme",
    "the secret key in a cookie",
    "the cookies of a signed-in browser",
    "the cookies of a signed-in administrator",
)
#: Real credentials, for something else or no longer good: to the Backend API they are no key.
NO_KEY = (
    "garbage",
    "a key of the right form that nobody made",
    "a revoked secret key",
    "the publishable key",
    "a session token",
    "a template's token",
    "an OAuth access token that is a JWT",
    "an OAuth access token that is opaque",
    "an OAuth refresh token",
    "an OAuth client's secret",
    "an M2M token that is opaque",
    "an M2M token that is a JWT",
    "an API key of a user",
    "an API key of an organization",
    "a sign-in token",
    "an actor token",
    "a testing token",
    "the browser's own token",
    "a machine's key replaced without grace",
    "a machine's key after its grace",
    "a deleted machine's key",
)
#: Keys of machines that count.
MACHINES = ("a machine's key", "a replaced machine's key within its grace")
SECRET_KEY = "the secret key"
CREDENTIALS = (*UNREADABLE, *NO_KEY, *MACHINES, SECRET_KEY)


async def make_credentials(backend: Backend, inventory: Inventory) -> dict[str, dict[str, str]]:
    """Headers by the credential's name. The clock goes on by more than a grace."""
    world, shown = backend.world, inventory.secrets
    own = backend.http.headers["authorization"]
    browser = await world.signed_up("credential@example.com")
    machines = await _machines(backend)
    revoked = await world.identity.secret_keys.make("revoked", actor=None)
    await world.identity.secret_keys.revoke(revoked.key.id, actor=None)
    session = await browser.session()
    session_token = (await browser.post(f"/v1/client/sessions/{session['id']}/tokens"))["jwt"]
    template = inventory.ids["/sessions/{}/tokens"]
    template_token = (await browser.post(f"/v1/client/sessions/{session['id']}/tokens/{template}"))["jwt"]
    jwts = await browser.tokens()
    opaque = await tokens_of(browser, await make_app(backend, **OPAQUE))
    organization = inventory.ids["/organizations"]
    body = {"name": "works key", "subject": organization}
    organization_key = await backend.ask("POST", "/api_keys", 201, json=body)
    bearers = {
        "a scheme without a key": "",
        "garbage": "x",
        "a key of the right form that nobody made": f"sk_test_{'0' * 43}",
        "a revoked secret key": revoked.secret,
        "the publishable key": "pk_test_YWNjb3VudHMubG9jYWxob3N0JA",
        "a session token": session_token,
        "a template's token": template_token,
        "an OAuth access token that is a JWT": jwts["access_token"],
        "an OAuth access token that is opaque": opaque["access_token"],
        "an OAuth refresh token": jwts["refresh_token"],
        "an OAuth client's secret": shown["OAuth client's secret"],
        "an M2M token that is opaque": shown["M2M token (opaque)"],
        "an M2M token that is a JWT": shown["M2M token (jwt)"],
        "an API key of a user": shown["API key"],
        "an API key of an organization": organization_key["secret"],
        "a sign-in token": shown["sign-in token"],
        "an actor token": shown["actor token"],
        "a testing token": shown["testing token"],
        "the browser's own token": browser.http.cookies["__client"],
        "a machine's key": shown["machine's key"],
        **machines,
        SECRET_KEY: own.partition(" ")[2],
    }
    return {
        "nothing": {},
        "the secret key under another scheme": {"authorization": own.replace("Bearer", "Basic")},
        "the secret key without a scheme": {"authorization": own.partition(" ")[2]},
        "the secret key in a cookie": {"cookie": f"__session={own.partition(' ')[2]}"},
        "the cookies of a signed-in browser": {"cookie": _cookies(browser, session_token)},
        "the cookies of a signed-in administrator": {"cookie": _cookies(await _administrator(world))},
        **{name: {"authorization": f"Bearer {bearer}"} for name, bearer in bearers.items()},
    }


async def _machines(backend: Backend) -> dict[str, str]:
    async def make(name: str) -> Any:
        return await backend.ask("POST", "/machines", json={"name": name})

    async def rotate(machine: Any, seconds: int) -> None:
        body = {"previous_token_ttl": seconds}
        await backend.ask("POST", f"/machines/{machine['id']}/secret_key/rotate", json=body)

    at_once, later, still, gone = [await make(name) for name in ("at once", "later", "still", "gone")]
    await rotate(at_once, 0)
    await rotate(later, GRACE_SECONDS)
    backend.world.clock.advance((GRACE_SECONDS + 1) * 1000)
    await rotate(still, GRACE_SECONDS)
    await backend.ask("DELETE", f"/machines/{gone['id']}")
    return {
        "a machine's key replaced without grace": at_once["secret_key"],
        "a machine's key after its grace": later["secret_key"],
        "a replaced machine's key within its grace": still["secret_key"],
        "a deleted machine's key": gone["secret_key"],
    }


async def _administrator(world: World) -> Browser:
    """Whoever may use the console: the console's forms, not what a back end may."""
    link = await world.identity.administrator_invitation()
    assert link is not None
    ticket = link.rpartition("=")[2]
    browser = await world.signed_up("administrator@example.com", strategy="ticket", ticket=ticket)
    assert (await browser.http.get("/admin")).status_code == 200
    return browser


def _cookies(browser: Browser, session_token: str = "") -> str:
    """What a browser has for us, and what its page has beside it."""
    kept = {**browser.http.cookies, "__session": session_token}
    return "; ".join(f"{name}={value}" for name, value in kept.items() if value)

"""Applications and machines that ask for a person's account: consent, the code of a device, fresh proof."""

import hashlib
import secrets
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import Page, expect

from doorward.jose import b64url_encode
from tests.identity_pages.world import PASSWORD, World, callback, sign_in, sign_out

pytestmark = [pytest.mark.browser, pytest.mark.anyio]


def authorize_url(redirect_uri: str, verifier: str = "", **more: str) -> str:
    challenge = b64url_encode(hashlib.sha256((verifier or secrets.token_urlsafe(48)).encode()).digest())
    asked = {
        "response_type": "code",
        "client_id": "doorward-cli",
        "redirect_uri": redirect_uri,
        "scope": "openid profile email offline_access",
        "state": "state-of-the-program",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **more,
    }
    return f"/oauth/authorize?{urlencode(asked)}"


async def test_a_program_on_this_computer_gets_its_code_after_sign_in_and_consent(
    accounts: World, page: Page, person: str
) -> None:
    await sign_out(page)
    verifier = secrets.token_urlsafe(48)
    async with callback() as program:
        await page.goto(authorize_url(program.url, verifier))
        await page.get_by_label("E-mail address").fill(person)
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Allow Doorward command line?")).to_be_visible()
        await expect(page.get_by_text("See your e-mail address")).to_be_visible()
        await expect(page.get_by_text(person, exact=True)).to_be_visible()
        await page.get_by_role("button", name="Allow").click()
        await page.wait_for_url(f"{program.url}?**")
    (answer,) = program.answers
    assert answer["state"] == "state-of-the-program"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(accounts.identity.app)) as client:
        tokens = await client.post(
            f"{accounts.origin}/oauth/token",
            data={
                "grant_type": "authorization_code",
                "client_id": "doorward-cli",
                "code": answer["code"],
                "redirect_uri": program.url,
                "code_verifier": verifier,
            },
        )
    assert tokens.status_code == 200
    assert tokens.json()["refresh_token"]


async def test_denying_tells_the_program_and_gives_it_nothing(page: Page, person: str) -> None:
    async with callback() as program:
        await page.goto(authorize_url(program.url))
        await page.get_by_role("button", name="Deny").click()
        await page.wait_for_url(f"{program.url}?**")
    (answer,) = program.answers
    assert answer["error"] == "access_denied"
    assert "code" not in answer


async def test_a_machine_is_named_by_its_very_host_and_consent_lets_nobody_in(
    accounts: World, page: Page, person: str
) -> None:
    host = f"workbench-0abc.{accounts.gate_zone}"
    origin = f"http://{host}"
    await page.goto(
        authorize_url(
            f"{origin}/gate/callback",
            client_id="doorward-gate",
            resource=origin,
            scope="openid profile email",
        )
    )
    await expect(page.get_by_role("heading", name="Let this machine know who you are?")).to_be_visible()
    await expect(page.get_by_text(host, exact=True)).to_be_visible()
    await expect(page.get_by_text("This alone does not let you in.")).to_be_visible()


async def test_going_on_after_signing_in_reaches_a_host_that_needs_no_new_consent(
    accounts: World, page: Page, person: str
) -> None:
    """The redirect leaves for the machine's host at once; a form's policy alone would have stopped it."""
    origin = f"http://workbench-1abc.{accounts.gate_zone}"
    url = authorize_url(
        f"{origin}/gate/callback", client_id="doorward-gate", resource=origin, scope="openid profile email"
    )
    await page.goto(url)
    await page.get_by_role("button", name="Allow").click()
    await page.wait_for_url(f"{origin}/gate/callback?**")
    await page.goto("/machines")
    await sign_out(page)
    await page.goto(url)
    await page.get_by_label("E-mail address").fill(person)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(f"{origin}/gate/callback?**")
    assert len(accounts.gate.answers) == 2
    assert all("code" in answer for answer in accounts.gate.answers)


async def test_an_application_can_insist_on_the_password_once_more(
    accounts: World, page: Page, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doorward.identity.oauth.authorize.FRESH_LOGIN_MS", -1)
    async with callback() as program:
        await page.goto(authorize_url(program.url, prompt="login"))
        await expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
        await page.get_by_label("Password", exact=True).fill("not my password")
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_text("This password is not right.")).to_be_visible()
        monkeypatch.undo()
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_role("button", name="Continue").click()
        await expect(page.get_by_role("heading", name="Allow Doorward command line?")).to_be_visible()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"client_id": "somebody-else"}, "invalid_client"),
        ({"redirect_uri": "https://evil.example/callback"}, "redirect_uri"),
    ],
)
async def test_a_request_nobody_registered_is_explained_and_not_sent_anywhere(
    accounts: World, page: Page, person: str, change: dict[str, str], told: str
) -> None:
    await page.goto(authorize_url(**{"redirect_uri": "http://127.0.0.1:34338/callback", **change}))
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.get_by_text(told)).to_be_visible()
    await expect(page.get_by_role("heading", name="This did not work")).to_be_visible()
    assert page.url.startswith(accounts.origin)


async def ask_for_device(accounts: World) -> dict[str, str]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(accounts.identity.app)) as client:
        answer = await client.post(
            f"{accounts.origin}/oauth/device_authorization", data={"client_id": "doorward-cli"}
        )
    asked: dict[str, str] = answer.json()
    return asked


async def poll(accounts: World, device_code: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(accounts.identity.app)) as client:
        return await client.post(
            f"{accounts.origin}/oauth/token",
            data={
                "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
                "client_id": "doorward-cli",
                "device_code": device_code,
            },
        )


async def test_a_machine_without_a_browser_is_approved_by_its_code(
    accounts: World, page: Page, person: str
) -> None:
    asked = await ask_for_device(accounts)
    await page.goto("/device")
    await page.get_by_label("Code").fill(asked["user_code"].replace("-", " ").lower())
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("heading", name="Sign in this machine?")).to_be_visible()
    await expect(page.get_by_text("Doorward command line")).to_be_visible()
    await expect(page.get_by_text("this machine", exact=True)).to_be_visible()
    await expect(page.get_by_text("Did you start this yourself?")).to_be_visible()
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("heading", name="The machine is signed in")).to_be_visible()
    assert (await poll(accounts, asked["device_code"])).status_code == 200


async def test_a_link_with_a_code_decides_nothing_by_itself(accounts: World, page: Page, person: str) -> None:
    asked = await ask_for_device(accounts)
    await page.goto(asked["verification_uri_complete"])
    await expect(page.get_by_text(asked["user_code"], exact=True)).to_be_visible()
    assert (await poll(accounts, asked["device_code"])).json()["error"] == "authorization_pending"
    await page.get_by_role("button", name="Deny").click()
    await expect(page.get_by_role("heading", name="The request was denied")).to_be_visible()
    assert (await poll(accounts, asked["device_code"])).json()["error"] in ("access_denied", "slow_down")


async def test_a_code_nobody_waits_with_is_told_beside_the_field(page: Page, person: str) -> None:
    await page.goto("/device")
    await page.get_by_label("Code").fill("BBBB-BBBB")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_label("Code")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_label("Code")).to_have_value("BBBB-BBBB")


async def test_a_device_link_survives_signing_in(accounts: World, page: Page, person: str) -> None:
    asked = await ask_for_device(accounts)
    await sign_out(page)
    await page.goto(asked["verification_uri_complete"])
    await page.get_by_label("E-mail address").fill(person)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text(asked["user_code"], exact=True)).to_be_visible()


async def test_signing_in_again_on_the_same_browser_is_not_asked_for(page: Page, person: str) -> None:
    await page.goto("/sign-in?redirect_url=/account")
    await page.wait_for_url("**/account")
    await page.goto("/sign-up")
    await page.wait_for_url("**/machines")
    await sign_out(page)
    await sign_in(page, person)
    await page.wait_for_url("**/machines")

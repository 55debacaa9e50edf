"""A person's browser at the accounts origin without the browser: Clerk's Frontend API over HTTP, and the terminal's grant."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from doorward.client.authorization import AuthorizationRequest, Grant
from doorward.client.configuration import CLI_CLIENT_ID
from doorward.client.sign_in import REDIRECT_URI
from doorward.environment.keys import SecretStore
from doorward.environment.link.cli_token import CliToken, CliTokens
from doorward.outbound import Outbound, Response
from doorward.store import system_clock
from tests.e2e.people import EMAIL, PASSWORD


class TooManyRequests(Exception):
    """The accounts server asks for patience."""


class Account:
    """One browser profile. Methods fail the test on a refusal and raise OutboundError when nobody answers.

    Whoever opens the profile again brings its `cookies`.
    """

    def __init__(self, origin: str, outbound: Outbound, cookies: dict[str, str] | None = None) -> None:
        self.origin = origin
        self.outbound = outbound
        self._cookies = {} if cookies is None else cookies

    async def sign_up(self, link: str, mailed_code: Callable[[], str | Awaitable[str]]) -> None:
        """Make the first account with the administrator's one-time link."""
        ticket = dict(parse_qsl(urlsplit(link).query))["__clerk_ticket"]
        form = {"strategy": "ticket", "ticket": ticket, "email_address": EMAIL, "password": PASSWORD}
        path = f"/v1/client/sign_ups/{(await self._api('/v1/client/sign_ups', form))['response']['id']}"
        await self._api(f"{path}/prepare_verification", {"strategy": "email_code"})
        code = mailed_code()
        if not isinstance(code, str):
            code = await code
        done = await self._api(f"{path}/attempt_verification", {"strategy": "email_code", "code": code})
        assert done["response"]["status"] == "complete", done

    async def sign_in(self) -> str:
        """Sign in with the password; the new session's id."""
        done = await self._api("/v1/client/sign_ins", {"identifier": EMAIL, "password": PASSWORD})
        assert done["response"]["status"] == "complete", done
        session: str = done["response"]["created_session_id"]
        return session

    async def sessions(self) -> list[str]:
        """The ids of the sessions signed in here."""
        answer = await self._send("GET", "/v1/client")
        assert answer.status == 200, answer.body
        client = answer.json(dict[str, Any])["response"]
        return [session["id"] for session in client["sessions"]] if client else []

    async def grant(self, *, client_id: str = CLI_CLIENT_ID) -> Grant:
        """What `doorward connect login` gets, or another application: authorize, consent, redeem (PKCE)."""
        asked = AuthorizationRequest(self.origin, client_id=client_id, redirect_uri=REDIRECT_URI)
        back = await self.authorize(dict(parse_qsl(urlsplit(asked.url).query)))
        return await asked.redeem(self.outbound, dict(parse_qsl(urlsplit(back).query))["code"])

    async def authorize(self, asked: dict[str, str]) -> str:
        """Open an authorization request and agree; where the browser is sent."""
        answer = await self._send("GET", f"/oauth/authorize?{urlencode(asked)}")
        if "/oauth-consent" in answer.headers.get("location", ""):
            answer = await self._send(
                "POST", f"/v1/me/oauth/consent/{asked['client_id']}", {"consented": "true", **asked}
            )
        assert answer.status == 303, (answer.status, answer.body)
        return answer.headers["location"]

    async def token(self, session: str, template: str) -> str:
        """A session's token by a JWT template, as clerk-js asks for it."""
        answer = await self._api(f"/v1/client/sessions/{session}/tokens/{template}", {})
        jwt: str = answer["jwt"]
        return jwt

    async def refresh(self, refresh_token: str) -> Response:
        """Redeem a refresh token, once."""
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": CLI_CLIENT_ID,
        }
        return await self.outbound.form(f"{self.origin}/oauth/token", form)

    async def _api(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        answer = await self._send("POST", path, form)
        if answer.status == 429:
            raise TooManyRequests(answer.headers.get("retry-after"))
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json(dict[str, Any])

    async def _send(self, method: str, path: str, form: dict[str, str] | None = None) -> Response:
        headers = {"origin": self.origin}
        if self._cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        body = None
        if form is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()
        answer = await self.outbound.request(method, f"{self.origin}{path}", headers=headers, body=body)
        # several fields arrive joined by commas; ours are the only names with these letters before a `=`
        for name, value in re.findall(r"(__client(?:_uat)?)=([^;,]*)", answer.headers.get("set-cookie", "")):
            self._cookies[name] = value
        return answer


def keep(grant: Grant, home: Path, outbound: Outbound, account: Account, *, is_due: bool = False) -> None:
    """Store a grant in a home folder, as `doorward connect login` does; `is_due` makes its next use refresh it."""
    tokens = CliTokens(
        SecretStore(home / "userdata" / "secrets"),
        system_clock,
        outbound,
        accounts_origin=account.origin,
        client_id=CLI_CLIENT_ID,
    )
    assert grant.refresh_token is not None
    tokens.store(
        CliToken(
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            expires_at_epoch_ms=0 if is_due else system_clock() + grant.expires_in * 1000,
        )
    )

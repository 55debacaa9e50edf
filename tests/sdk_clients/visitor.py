"""A person in a browser, without the browser: signs in by a ticket and says yes to applications."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.sdk_clients.server import Server

REDIRECT = "https://shop.example/callback"
_VERIFIER = "v" * 43
_CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(_VERIFIER.encode()).digest()).rstrip(b"=").decode()


class Visitor:
    """`ticket` is a sign-in token's; `origin` is that of the page, the accounts' own where none is given."""

    def __init__(self, server: Server, ticket: str, *, origin: str | None = None) -> None:
        self.http = server.http(origin=origin or server.accounts)
        signed_in = self._post("/v1/client/sign_ins", strategy="ticket", ticket=ticket)
        session = signed_in["client"]["sessions"][0]
        self.session_id, self.user_id = str(session["id"]), str(session["user"]["id"])

    def session_token(self) -> str:
        return str(self._post(f"/v1/client/sessions/{self.session_id}/tokens")["jwt"])

    def access_token(self, application: Any, scope: str = "profile email") -> str:
        """What an application (as the Backend API shows it) gets from this person."""
        asked = {
            "client_id": application["client_id"],
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": scope,
            "state": "a-long-enough-state",
            "code_challenge": _CHALLENGE,
            "code_challenge_method": "S256",
        }
        location = self.http.get("/oauth/authorize", params=asked).headers["location"]
        if "/oauth-consent" in location:
            path = f"/v1/me/oauth/consent/{application['client_id']}"
            answer = self.http.post(path, data={"consented": "true", **_query(location)})
            location = answer.headers["location"]
        form = {
            "grant_type": "authorization_code",
            "code": _query(location)["code"],
            "redirect_uri": REDIRECT,
            "client_id": application["client_id"],
            "code_verifier": _VERIFIER,
        }
        if "client_secret" in application:
            form["client_secret"] = application["client_secret"]
        return str(self._post("/oauth/token", **form)["access_token"])

    def close(self) -> None:
        self.http.close()

    def _post(self, path: str, **form: str) -> Any:
        response = self.http.post(path, data=form)
        assert response.status_code == 200, response.text[:400]
        return response.json()


def _query(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def ticket_for(http: httpx.Client, user_id: str) -> str:
    """A sign-in token, made with the instance's key, which `http` holds."""
    made = http.post("/sign_in_tokens", json={"user_id": user_id}).raise_for_status().json()
    return str(made["token"])


def application(http: httpx.Client, **members: Any) -> Any:
    """An application, made with the instance's key."""
    body = {"name": "Shop", "redirect_uris": [REDIRECT], **members}
    return http.post("/oauth_applications", json=body).raise_for_status().json()

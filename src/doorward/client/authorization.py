"""One authorization code request (RFC 6749 §4.1) with PKCE (RFC 7636): what it asks, and what it takes for an answer.

The verifier never leaves this object but for the token endpoint. So a code made for anybody else's request is of no use
here, and a code of this request is of no use to whoever sees it on its way.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from doorward.client.errors import SignInFailed, Unavailable
from doorward.jose import b64url_encode
from doorward.outbound import Outbound, OutboundError, Response

SCOPE = "openid profile email"
FAILED = "Could not authorize the T3 Connect CLI."


class Grant(msgspec.Struct, frozen=True):
    """What the token endpoint gave: `expires_in` in seconds from now."""

    access_token: str
    expires_in: int
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return f"Grant(expires_in={self.expires_in})"


class OAuthError(msgspec.Struct):
    """RFC 6749 §5.2."""

    error: str
    error_description: str = ""

    @property
    def reason(self) -> str:
        return self.error_description or self.error


class AuthorizationRequest:
    """Made anew for every attempt to sign in."""

    def __init__(self, accounts_origin: str, *, client_id: str, redirect_uri: str) -> None:
        self._accounts = accounts_origin
        self._client_id = client_id
        self._redirect_uri = redirect_uri
        self._verifier = b64url_encode(secrets.token_bytes(32))
        self._state = str(uuid.uuid4())

    @property
    def url(self) -> str:
        """Where the person goes."""
        query = {
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "response_type": "code",
            "scope": SCOPE,
            "state": self._state,
            "code_challenge": b64url_encode(hashlib.sha256(self._verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        return f"{self._accounts}/oauth/authorize?{urlencode(query)}"

    def is_answered_by(self, state: str) -> bool:
        """Whether an answer with this state belongs to this request and not to one somebody else began."""
        return secrets.compare_digest(state.encode(), self._state.encode())

    async def redeem(self, outbound: Outbound, code: str) -> Grant:
        """Exchange the code. Raises SignInFailed, Unavailable."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "client_id": self._client_id,
            "code_verifier": self._verifier,
        }
        answer = await post_form(outbound, f"{self._accounts}/oauth/token", form)
        if answer.status != 200:
            raise SignInFailed(f"{FAILED} The accounts server says: {oauth_error(answer).reason}.")
        return answer.json(Grant)


async def post_form(outbound: Outbound, url: str, form: Mapping[str, str]) -> Response:
    """Raises Unavailable when nothing answers."""
    try:
        return await outbound.form(url, form)
    except OutboundError as error:
        raise Unavailable(f"The accounts server did not answer. {error}") from error


def oauth_error(answer: Response) -> OAuthError:
    """What a refusal says; its status where it says nothing readable."""
    try:
        return answer.json(OAuthError)
    except OutboundError:
        return OAuthError(error=f"status {answer.status}")

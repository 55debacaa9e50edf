"""Firebase Cloud Messaging, HTTP v1: a service account's signed assertion for an access token, then one request per
device.

Source: Google's "Authorize send requests" and the `projects.messages.send` reference; RFC 7523 for the exchange.
"""

import asyncio
from functools import lru_cache
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from doorward.jose import PrivateKey, sign_jwt
from doorward.outbound import Outbound, OutboundError, Response, UnexpectedBody
from doorward.push.messages import Alert, Message, Outcome, by_status, unreached

T = TypeVar("T")

API = "https://fcm.googleapis.com"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_S = 3600
# Renewed this long before its end, so that a request under way does not outlive it.
_RENEWED_BEFORE_MS = 60_000
_ANSWER_BYTES = 64 * 1024
_DEAD = frozenset({"UNREGISTERED", "SENDER_ID_MISMATCH"})


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The key file of Google's console, the members we use. `private_key` is RSA, PKCS#8 PEM."""

    project_id: str
    client_email: str
    private_key: str
    token_uri: str = TOKEN_URL

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_email})"


class _Token(msgspec.Struct):
    access_token: str
    expires_in: int = 3600


class _Notification(msgspec.Struct):
    title: str
    body: str


class _Android(msgspec.Struct):
    priority: str
    ttl: str


class _Message(msgspec.Struct):
    token: str
    notification: _Notification
    data: dict[str, str]
    android: _Android


class _SendRequest(msgspec.Struct):
    message: _Message


class _Sent(msgspec.Struct):
    name: str = ""


class _Detail(msgspec.Struct, rename="camel"):
    error_code: str = ""


class _Error(msgspec.Struct, frozen=True):
    status: str = ""
    details: tuple[_Detail, ...] = ()


class _Failed(msgspec.Struct, frozen=True):
    error: _Error = _Error()


@lru_cache(maxsize=4)
def _key_of(pem: str) -> PrivateKey:
    """OpenSSL looks at an RSA key of somebody else's making for 35 ms: once, however many senders a process makes."""
    return PrivateKey.from_pem(pem, alg="RS256")


class FcmSender:
    """Sends alerts to Android devices. `api` may be replaced to speak to another server than Google's."""

    def __init__(self, outbound: Outbound, account: ServiceAccount, *, api: str = API) -> None:
        """Raises JoseError when the account's key cannot be read."""
        self._outbound = outbound
        self._account = account
        self._key = _key_of(account.private_key)
        self._url = f"{api}/v1/projects/{quote(account.project_id, safe='')}/messages:send"
        self._token: tuple[str, int] | None = None
        self._renewing = asyncio.Lock()

    async def send(self, target: str, message: Message, *, now: int, expires_at: int) -> Outcome:
        """`target` is the registration token."""
        if not isinstance(message, Alert):
            return Outcome(verdict="refused", reason="not_an_alert")
        body = _SendRequest(
            _Message(
                token=target,
                notification=_Notification(message.title, message.body),
                data=message.data,
                android=_Android("HIGH", f"{max((expires_at - now) // 1000, 0)}s"),
            )
        )
        try:
            token = await self._access_token(now)
            response = await self._outbound.request(
                "POST",
                self._url,
                headers={"authorization": f"Bearer {token}", "content-type": "application/json"},
                body=msgspec.json.encode(body),
                max_bytes=_ANSWER_BYTES,
                http2=True,
            )
        except OutboundError as error:
            return unreached(error)
        return self._judge(response)

    async def _access_token(self, now: int) -> str:
        """One token for an hour, asked for once however many messages wait for it. Raises OutboundError."""
        async with self._renewing:
            if self._token is not None and now < self._token[1] - _RENEWED_BEFORE_MS:
                return self._token[0]
            account = self._account
            issued = now // 1000
            assertion = sign_jwt(
                {
                    "iss": account.client_email,
                    "scope": SCOPE,
                    "aud": account.token_uri,
                    "iat": issued,
                    "exp": issued + _ASSERTION_S,
                },
                self._key,
                typ="JWT",
                include_kid=False,
            )
            answer = await self._outbound.request(
                "POST",
                account.token_uri,
                headers={"content-type": "application/x-www-form-urlencoded"},
                body=urlencode({"grant_type": _GRANT, "assertion": assertion}).encode(),
                max_bytes=_ANSWER_BYTES,
                http2=True,
            )
            if answer.status != 200:
                raise UnexpectedBody(f"The token endpoint answered {answer.status}.")
            granted = answer.json(_Token)
            self._token = (granted.access_token, now + granted.expires_in * 1000)
            return granted.access_token

    def _judge(self, response: Response) -> Outcome:
        if response.status == 200:
            return by_status(response, reason=None, message_id=_decoded(response, _Sent()).name or None)
        error = _decoded(response, _Failed()).error
        code = next((detail.error_code for detail in error.details if detail.error_code), error.status)[:80]
        outcome = by_status(response, reason=code or None)
        if code in _DEAD:
            return msgspec.structs.replace(outcome, verdict="dead")
        if response.status == 401:
            # The token was withdrawn before its hour: the next attempt asks for another.
            self._token = None
            return msgspec.structs.replace(outcome, verdict="later")
        return outcome


def _decoded(response: Response, default: T) -> T:
    try:
        return msgspec.json.decode(response.body, type=type(default))
    except msgspec.DecodeError:
        return default

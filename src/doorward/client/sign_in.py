"""Signing in from a terminal: authorization code with PKCE on loopback (RFC 8252), or the device grant (RFC 8628).

Both end in a `Grant`. The loopback listener is the fixed `http://127.0.0.1:34338/callback` that T3's
CLI registers, so one OAuth application serves both programs. Where no browser can reach this machine
(no display, an SSH session), the device grant needs no port forward.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from doorward.client.errors import SignInFailed, Unavailable
from doorward.jose import b64url_encode
from doorward.outbound import Outbound, OutboundError, Response

CALLBACK_HOST, CALLBACK_PORT, CALLBACK_PATH = "127.0.0.1", 34338, "/callback"
REDIRECT_URI = f"http://{CALLBACK_HOST}:{CALLBACK_PORT}{CALLBACK_PATH}"
SCOPE = "openid profile email"
WAIT_SECONDS = 600.0
_HEAD_LIMIT = 16_384

Show = Callable[[str], None]


class Grant(msgspec.Struct, frozen=True):
    """What the token endpoint gave: `expires_in` in seconds from now."""

    access_token: str
    expires_in: int
    refresh_token: str | None = None


class DeviceAuthorization(msgspec.Struct, frozen=True):
    """RFC 8628 section 3.2; `interval` and `expires_in` in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int
    verification_uri_complete: str | None = None
    interval: int = 5


class _OAuthError(msgspec.Struct):
    error: str
    error_description: str = ""


async def authorize_on_loopback(
    outbound: Outbound,
    *,
    accounts_origin: str,
    client_id: str,
    show_url: Show,
    wait_seconds: float = WAIT_SECONDS,
) -> Grant:
    """Print the authorization URL through `show_url`, wait for the browser to come back, redeem the code.

    Raises SignInFailed when the port is taken, the wait runs out or the code is refused.
    """
    verifier = b64url_encode(secrets.token_bytes(32))
    state = str(uuid.uuid4())
    received: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status, text, code, refusal = _callback_answer(await _request_target(reader), state)
            writer.write(_http_answer(status, text))
            await writer.drain()
            if not received.done():
                if refusal:
                    received.set_exception(SignInFailed(f"Authorization was not given: {refusal}."))
                elif code:
                    received.set_result(code)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # not a browser coming back; keep waiting for one that does
        finally:
            writer.close()

    try:
        listener = await asyncio.start_server(answer, CALLBACK_HOST, CALLBACK_PORT, limit=_HEAD_LIMIT)
    except OSError as error:
        raise SignInFailed(
            f"Port {CALLBACK_PORT} on this machine is taken, so the browser cannot come back to this command. "
            "Close the program that uses it, or sign in with `doorward connect login --device`."
        ) from error
    async with listener:
        show_url(_authorization_url(accounts_origin, client_id, state, verifier))
        try:
            code = await asyncio.wait_for(received, wait_seconds)
        except TimeoutError as error:
            raise SignInFailed("Timed out waiting for authorization. Run the command again.") from error
        return await _token(
            outbound,
            accounts_origin,
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": REDIRECT_URI,
                "client_id": client_id,
                "code_verifier": verifier,
            },
        )


async def authorize_device(
    outbound: Outbound,
    *,
    accounts_origin: str,
    client_id: str,
    show: Callable[[DeviceAuthorization], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Grant:
    """Show the code to type on another device, poll until it was approved there (RFC 8628 section 3.4)."""
    started = await _post(
        outbound,
        f"{accounts_origin}/oauth/device_authorization",
        {"client_id": client_id, "scope": SCOPE},
    )
    if started.status != 200:
        raise SignInFailed(f"The accounts server refused to start signing in: {_reason(started)}.")
    authorization = started.json(DeviceAuthorization)
    show(authorization)
    interval, waited = float(authorization.interval), 0.0
    while waited < authorization.expires_in:
        await sleep(interval)
        waited += interval
        answer = await _post(
            outbound,
            f"{accounts_origin}/oauth/token",
            {
                "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
                "device_code": authorization.device_code,
                "client_id": client_id,
            },
        )
        if answer.status == 200:
            return answer.json(Grant)
        match _error(answer).error:
            case "authorization_pending":
                continue
            case "slow_down":
                interval += 5.0
            case "access_denied":
                raise SignInFailed("The request was denied on the other device. Nothing was changed.")
            case "expired_token":
                break
            case _:
                raise SignInFailed(f"The accounts server refused: {_reason(answer)}.")
    raise SignInFailed("The code ran out before it was approved. Run the command again for a new one.")


def _authorization_url(accounts_origin: str, client_id: str, state: str, verifier: str) -> str:
    challenge = b64url_encode(hashlib.sha256(verifier.encode()).digest())
    query = {
        "client_id": client_id,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": SCOPE,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{accounts_origin}/oauth/authorize?{urlencode(query)}"


async def _request_target(reader: asyncio.StreamReader) -> str:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
    return target if method == "GET" else ""


def _callback_answer(target: str, state: str) -> tuple[int, str, str, str]:
    """Decide on (status, text, code, refusal); a wrong state or a missing code keeps the command waiting."""
    url = urlsplit(target)
    if url.path != CALLBACK_PATH:
        return 404, "Not found.", "", ""
    values = dict(parse_qsl(url.query))
    if not secrets.compare_digest(values.get("state", "").encode(), state.encode()):
        return 400, "Invalid T3 Connect authorization callback.", "", ""
    if refusal := values.get("error_description") or values.get("error"):
        return 400, "Authorization was not given. Return to your terminal.", "", refusal
    if not values.get("code"):
        return 400, "Invalid T3 Connect authorization callback.", "", ""
    return 200, "You can close this window and return to your terminal.", values["code"], ""


def _http_answer(status: int, text: str) -> bytes:
    if status == 200:
        body = f"<!doctype html><meta charset=utf-8><h1>T3 Connect authorization complete</h1><p>{text}</p>"
        kind = "text/html; charset=utf-8"
    else:
        body, kind = text, "text/plain; charset=utf-8"
    payload = body.encode()
    reason = {200: "OK", 400: "Bad Request", 404: "Not Found"}[status]
    head = (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\ncontent-length: {len(payload)}\r\n"
        "cache-control: no-store\r\ncontent-security-policy: default-src 'none'\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + payload


async def _token(outbound: Outbound, accounts_origin: str, form: Mapping[str, str]) -> Grant:
    answer = await _post(outbound, f"{accounts_origin}/oauth/token", form)
    if answer.status != 200:
        raise SignInFailed(f"Could not authorize this command: {_reason(answer)}.")
    return answer.json(Grant)


async def _post(outbound: Outbound, url: str, form: Mapping[str, str]) -> Response:
    try:
        return await outbound.form(url, form)
    except OutboundError as error:
        raise Unavailable(f"The accounts server did not answer ({error}). Is it running?") from error


def _error(answer: Response) -> _OAuthError:
    try:
        return answer.json(_OAuthError)
    except msgspec.DecodeError:
        return _OAuthError(error=f"status {answer.status}")


def _reason(answer: Response) -> str:
    error = _error(answer)
    return error.error_description or error.error

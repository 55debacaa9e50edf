"""Signing in from a terminal: on loopback (RFC 8252), by a pasted code, or by the device grant (RFC 8628).

All three end in a `Grant`. The loopback listener is the fixed `http://127.0.0.1:34338/callback` that T3's CLI registers,
so one OAuth application serves both programs. Where no browser can reach this machine (no display, an SSH session), the
other two need no port forward: the device grant shows a code here to type there, pasting shows a code there to paste here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, urlsplit

import msgspec

from doorward.client.authorization import (
    FAILED,
    SCOPE,
    AuthorizationRequest,
    Grant,
    oauth_error,
    post_form,
)
from doorward.client.errors import SignInFailed
from doorward.outbound import Outbound

CALLBACK_HOST, CALLBACK_PORT, CALLBACK_PATH = "127.0.0.1", 34338, "/callback"
REDIRECT_URI = f"http://{CALLBACK_HOST}:{CALLBACK_PORT}{CALLBACK_PATH}"
#: The page of the accounts server that shows a code to paste.
PASTE_PATH = "/connect/callback"
WAIT_SECONDS = 600.0
_HEAD_LIMIT = 16_384
_TIMED_OUT = "Timed out waiting for T3 Connect authorization. Run the command again."

Show = Callable[[str], None]
AskForCode = Callable[[], Awaitable[str | None]]
"""The next line a person pasted; None at the end of input."""


class DeviceAuthorization(msgspec.Struct, frozen=True):
    """RFC 8628 section 3.2; `interval` and `expires_in` in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int
    verification_uri_complete: str | None = None
    interval: int = 5


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
    asked = AuthorizationRequest(accounts_origin, client_id=client_id, redirect_uri=REDIRECT_URI)
    received: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            status, text, code, refusal = _callback_answer(await _request_target(reader), asked)
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
        show_url(asked.url)
        try:
            async with asyncio.timeout(wait_seconds):
                code = await received
        except TimeoutError as error:
            raise SignInFailed(_TIMED_OUT) from error
        return await asked.redeem(outbound, code)


async def authorize_by_paste(
    outbound: Outbound,
    *,
    accounts_origin: str,
    client_id: str,
    show_url: Show,
    ask: AskForCode,
    say_wrong: Show,
    wait_seconds: float = WAIT_SECONDS,
) -> Grant:
    """Show the URL, take the code its last page shows, redeem it.

    A page anybody can link to shows the code, so what is pasted may come from somebody else's sign-in: one whose state
    is not ours is refused here, before any server hears of it, and asked for again (`say_wrong` says why). Whoever
    guessed the state would still lack the verifier. Raises SignInFailed, Unavailable.
    """
    asked = AuthorizationRequest(
        accounts_origin, client_id=client_id, redirect_uri=f"{accounts_origin}{PASTE_PATH}"
    )
    show_url(asked.url)
    try:
        async with asyncio.timeout(wait_seconds):
            while (pasted := await ask()) is not None:
                if code := pasted_code(pasted, asked):
                    return await asked.redeem(outbound, code)
                if pasted.strip():
                    say_wrong(
                        "This is not the code of this sign-in. Copy the whole code from the page that the URL above leads to."
                    )
    except TimeoutError as error:
        raise SignInFailed(_TIMED_OUT) from error
    raise SignInFailed(f"{FAILED} No code was pasted.")


def pasted_code(text: str, asked: AuthorizationRequest) -> str | None:
    """The code of `<code>.<state>`, however a terminal broke the line; None when it answers another request."""
    code, dot, state = "".join(text.split()).rpartition(".")
    return code if dot and code and asked.is_answered_by(state) else None


async def authorize_device(
    outbound: Outbound,
    *,
    accounts_origin: str,
    client_id: str,
    show: Callable[[DeviceAuthorization], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Grant:
    """Show the code to type on another device, poll until it was approved there (RFC 8628 section 3.4)."""
    started = await post_form(
        outbound,
        f"{accounts_origin}/oauth/device_authorization",
        {"client_id": client_id, "scope": SCOPE},
    )
    if started.status != 200:
        raise SignInFailed(f"The accounts server refused to start signing in: {oauth_error(started).reason}.")
    authorization = started.json(DeviceAuthorization)
    show(authorization)
    interval, waited = float(authorization.interval), 0.0
    while waited < authorization.expires_in:
        await sleep(interval)
        waited += interval
        answer = await post_form(
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
        match oauth_error(answer).error:
            case "authorization_pending":
                continue
            case "slow_down":
                interval += 5.0
            case "access_denied":
                raise SignInFailed("The request was denied on the other device. Nothing was changed.")
            case "expired_token":
                break
            case _:
                raise SignInFailed(f"The accounts server refused: {oauth_error(answer).reason}.")
    raise SignInFailed("The code ran out before it was approved. Run the command again for a new one.")


async def _request_target(reader: asyncio.StreamReader) -> str:
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
    return target if method == "GET" else ""


def _callback_answer(target: str, asked: AuthorizationRequest) -> tuple[int, str, str, str]:
    """Decide on (status, text, code, refusal); a wrong state or a missing code keeps the command waiting."""
    url = urlsplit(target)
    if url.path != CALLBACK_PATH:
        return 404, "Not found.", "", ""
    values = dict(parse_qsl(url.query))
    if not asked.is_answered_by(values.get("state", "")):
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

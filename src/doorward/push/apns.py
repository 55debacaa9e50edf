"""Apple Push Notification service: HTTP/2, an ES256 provider token, one request per device token.

Source: Apple's "Sending notification requests to APNs" and "Starting and updating Live Activities with ActivityKit
push notifications"; what the T3 apps read is connect-relay §5.5.
"""

import re
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from doorward.jose import PrivateKey, sign_jwt
from doorward.outbound import Outbound, OutboundError, Response
from doorward.push.messages import Alert, LiveActivity, Message, Outcome, by_status, unreached

PRODUCTION = "https://api.push.apple.com"
SANDBOX = "https://api.sandbox.push.apple.com"

# Apple refuses tokens older than an hour, and more than one new token in twenty minutes.
TOKEN_REUSED_MS = 40 * 60_000
STALE_AFTER_S = 120
DISMISSED_AFTER_S = 300
_DEAD = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered"})
_BUNDLE_ID = re.compile(r"[A-Za-z0-9.-]{1,155}")
_ANSWER_BYTES = 16 * 1024

Environment = Literal["sandbox", "production"]


class ApnsTarget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device token, with what the app said of itself where that differs from the operator's settings."""

    token: str
    bundle_id: str | None = None
    environment: Environment | None = None

    @classmethod
    def from_text(cls, text: str) -> "ApnsTarget":
        """Raises msgspec.DecodeError."""
        return msgspec.json.decode(text, type=cls)

    def to_text(self) -> str:
        return msgspec.json.encode(self).decode()

    def __repr__(self) -> str:
        return f"ApnsTarget(…{self.token[-8:]})"


class _Refusal(msgspec.Struct):
    reason: str = ""


class ApnsSender:
    """`key` is the ES256 key of Apple's developer site (`.p8`), `key_id` and `team_id` name it to Apple.

    `origins` may be replaced to speak to another server than Apple's.
    """

    def __init__(
        self,
        outbound: Outbound,
        *,
        key: PrivateKey,
        key_id: str,
        team_id: str,
        bundle_id: str,
        environment: Environment,
        origins: dict[Environment, str] | None = None,
    ) -> None:
        self._outbound = outbound
        self._key = key
        self._key_id = key_id
        self._team_id = team_id
        self._bundle_id = bundle_id
        self._environment: Environment = environment
        self._origins = origins or {"production": PRODUCTION, "sandbox": SANDBOX}
        self._token: tuple[str, int] | None = None

    async def send(self, target: str, message: Message, *, now: int, expires_at: int) -> Outcome:
        """`target` is an `ApnsTarget.to_text()`."""
        device = ApnsTarget.from_text(target)
        origin = self._origins[device.environment or self._environment]
        bundle_id = device.bundle_id or self._bundle_id
        if not _BUNDLE_ID.fullmatch(bundle_id):
            return Outcome(verdict="refused", reason="bundle_id_invalid")
        try:
            response = await self._outbound.request(
                "POST",
                f"{origin}/3/device/{quote(device.token, safe='')}",
                headers={
                    "authorization": f"bearer {self._provider_token(now)}",
                    "content-type": "application/json",
                    "apns-expiration": str(expires_at // 1000),
                    **_headers(message, bundle_id),
                },
                body=msgspec.json.encode(_payload(message, now // 1000)),
                max_bytes=_ANSWER_BYTES,
                http2=True,
            )
        except OutboundError as error:
            return unreached(error)
        return self._judge(response)

    def _provider_token(self, now: int) -> str:
        if self._token is None or not 0 <= now - self._token[1] < TOKEN_REUSED_MS:
            claims = {"iss": self._team_id, "iat": now // 1000}
            token = sign_jwt(claims, self._key, typ="JWT", header={"kid": self._key_id}, include_kid=False)
            self._token = (token, now)
        return self._token[0]

    def _judge(self, response: Response) -> Outcome:
        reason = _reason(response) if response.status != 200 else None
        outcome = by_status(response, reason=reason, message_id=response.headers.get("apns-id"))
        if response.status == 410 or (response.status == 400 and reason in _DEAD):
            return msgspec.structs.replace(outcome, verdict="dead")
        if response.status == 403 and reason == "ExpiredProviderToken":
            # Our clock and Apple's disagree about the hour: the next attempt signs anew.
            self._token = None
            return msgspec.structs.replace(outcome, verdict="later")
        return outcome


def _reason(response: Response) -> str | None:
    try:
        return msgspec.json.decode(response.body, type=_Refusal).reason[:80] or None
    except msgspec.DecodeError:
        return None


def _headers(message: Message, bundle_id: str) -> dict[str, str]:
    if isinstance(message, LiveActivity):
        return {
            "apns-push-type": "liveactivity",
            "apns-topic": f"{bundle_id}.push-type.liveactivity",
            "apns-priority": "5" if message.event == "update" else "10",
        }
    return {"apns-push-type": "alert", "apns-topic": bundle_id, "apns-priority": "10"}


def _payload(message: Message, now: int) -> dict[str, Any]:
    """The shapes are Apple's and differ by event, so that they are put together here instead of declared."""
    if isinstance(message, Alert):
        alert = {"title": message.title, "body": message.body}
        return {"aps": {"alert": alert, "sound": "default"}, **message.data}
    aps: dict[str, Any] = {"timestamp": now, "event": message.event}
    if message.event == "start":
        aps |= {
            "attributes-type": "LiveActivityAttributes",
            "attributes": {},
            "input-push-token": 1,
            "alert": {"title": message.title, "body": message.body},
        }
    if message.content is not None:
        aps["content-state"] = {"name": "AgentActivity", "props": message.content}
    if message.event == "end":
        aps["dismissal-date"] = now + DISMISSED_AFTER_S
    else:
        aps["stale-date"] = now + STALE_AFTER_S
    return {"aps": aps}

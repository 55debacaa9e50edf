"""Web Push: a browser's subscription, our VAPID key, and the request to the browser's push service.

The push service is whichever the browser chose: its URL is a stranger's word, so it is dialled with `public_only`.
It carries what it cannot read (`encryption`), and takes it from the holder of the VAPID key alone (RFC 8292).
"""

from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from doorward.jose import JoseError, PrivateKey, b64url_decode, b64url_encode, generate_key, sign_jwt
from doorward.outbound import AddressRefused, InsecureUrl, Outbound, OutboundError
from doorward.push.encryption import AUTH_BYTES, MAX_PLAINTEXT, POINT_BYTES, encrypt, padded
from doorward.push.messages import Alert, Message, Outcome, by_status, unreached

MAX_ENDPOINT = 1024
_TOKEN_LIFETIME_S = 12 * 3600
_ANSWER_BYTES = 16 * 1024


class SubscriptionInvalid(ValueError):
    """What a browser sent is no subscription; the message says which part."""


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """`PushSubscription.toJSON()` of a browser, checked. `p256dh` and `auth` are base64url without padding."""

    endpoint: str
    p256dh: str
    auth: str

    @classmethod
    def of(cls, *, endpoint: str, p256dh: str, auth: str) -> "Subscription":
        """Raises SubscriptionInvalid."""
        parts = _split(endpoint)
        if (
            parts is None
            or len(endpoint) > MAX_ENDPOINT
            or not endpoint.isascii()
            or not endpoint.isprintable()
        ):
            raise SubscriptionInvalid("endpoint is not an https URL")
        made = cls(endpoint=endpoint, p256dh=p256dh.rstrip("="), auth=auth.rstrip("="))
        made.receiver()
        made.secret()
        return made

    @classmethod
    def from_text(cls, text: str) -> "Subscription":
        """What `to_text` wrote. Raises SubscriptionInvalid."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise SubscriptionInvalid("not a stored subscription") from error

    def to_text(self) -> str:
        return msgspec.json.encode(self).decode()

    def receiver(self) -> ec.EllipticCurvePublicKey:
        """The browser's key, on the curve. Raises SubscriptionInvalid."""
        try:
            point = b64url_decode(self.p256dh)
            if len(point) == POINT_BYTES:
                return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except (JoseError, ValueError):
            pass
        raise SubscriptionInvalid("p256dh is not a point of P-256")

    def secret(self) -> bytes:
        try:
            secret = b64url_decode(self.auth)
        except (JoseError, ValueError):
            secret = b""
        if len(secret) != AUTH_BYTES:
            raise SubscriptionInvalid("auth is not 16 bytes")
        return secret

    @property
    def origin(self) -> str:
        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{parts.netloc}"

    def __repr__(self) -> str:
        # The endpoint is a capability: who knows it may send to it, were there no VAPID key.
        return f"Subscription({self.origin})"


def _split(endpoint: str) -> object | None:
    try:
        parts = urlsplit(endpoint)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return None
    return parts if parts.scheme == "https" and parts.hostname and parts.username is None else None


class VapidKey:
    """The P-256 key a browser's subscription is bound to: replace it and every subscription is void."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    @classmethod
    def generate(cls) -> "VapidKey":
        return cls(generate_key("ES256"))

    @classmethod
    def from_pem(cls, pem: str) -> "VapidKey":
        """Raises JoseError."""
        return cls(PrivateKey.from_pem(pem.strip(), alg="ES256"))

    def to_pem(self) -> str:
        return self._key.to_pem()

    @property
    def public(self) -> str:
        """`applicationServerKey` of `pushManager.subscribe`: the uncompressed point, base64url."""
        jwk = self._key.public.to_jwk()
        return b64url_encode(b"\x04" + b64url_decode(jwk["x"]) + b64url_decode(jwk["y"]))

    def authorization(self, audience: str, *, contact: str, now: int) -> str:
        """The header (RFC 8292 §3) for a push service; `now` in seconds."""
        claims = {"aud": audience, "exp": now + _TOKEN_LIFETIME_S, "sub": contact}
        token = sign_jwt(claims, self._key, typ="JWT", include_kid=False)
        return f"vapid t={token}, k={self.public}"


def contact_at(origin: str | None) -> str:
    """Whom a push service's operator may turn to: whoever runs `origin`. RFC 8292 §2.1 knows mailto: and https: only."""
    return origin if origin and origin.startswith("https:") else "mailto:doorward@localhost"


class WebPushSender:
    """Sends alerts to browsers. `contact` is where a push service's operator can complain: `mailto:` or https."""

    def __init__(self, outbound: Outbound, key: VapidKey, *, contact: str) -> None:
        self._outbound = outbound
        self._key = key
        self._contact = contact

    async def send(self, target: str, message: Message, *, now: int, expires_at: int) -> Outcome:
        """`target` is a `Subscription.to_text()`."""
        if not isinstance(message, Alert):
            return Outcome(verdict="refused", reason="not_an_alert")
        plaintext = msgspec.json.encode(message)
        if len(plaintext) > MAX_PLAINTEXT:
            return Outcome(verdict="refused", reason="message_too_large")
        try:
            subscription = Subscription.from_text(target)
            body = encrypt(padded(plaintext), receiver=subscription.receiver(), auth=subscription.secret())
        except SubscriptionInvalid:
            return Outcome(verdict="dead", reason="subscription_invalid")
        try:
            response = await self._outbound.request(
                "POST",
                subscription.endpoint,
                headers={
                    "authorization": self._key.authorization(
                        subscription.origin, contact=self._contact, now=now // 1000
                    ),
                    "content-encoding": "aes128gcm",
                    "content-type": "application/octet-stream",
                    "ttl": str(max((expires_at - now) // 1000, 0)),
                    "urgency": "high",
                },
                body=body,
                max_bytes=_ANSWER_BYTES,
                http2=True,
                public_only=True,
            )
        except (InsecureUrl, AddressRefused) as error:
            return Outcome(verdict="dead", reason=error.code)
        except OutboundError as error:
            return unreached(error)
        if response.status in (404, 410):
            # RFC 8030 §7.3 and what browsers' services do: the subscription is over.
            return Outcome(verdict="dead", status=response.status, reason="subscription_gone")
        return by_status(response, reason=None)

"""What push notifications travel through, played on loopback over TLS: a browser with its push service, APNs, FCM.

Each holds its peer to the wire: the push service checks the VAPID token (RFC 8292) and hands the message to the
browser, which decrypts it with its own keys by RFC 8291 and RFC 8188, written here from the RFCs and not with the
code under test.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import h2.config
import h2.connection
import h2.events
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from doorward.jose import (
    JoseError,
    PublicKey,
    b64url_decode,
    b64url_encode,
    generate_key,
    peek_header,
    verify_jws,
    verify_jwt,
)
from doorward.outbound import Outbound
from doorward.server.tls import LocalAuthority, ensure_local_authority

PUSH_HOST = "push.localhost"
HOSTS = [PUSH_HOST, "api.push.localhost", "api.sandbox.push.localhost", "fcm.localhost"]


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Http2Server:
    """An HTTP/2 server that answers each request by `answer`; `received` holds them all, `arrived` tells of each.

    No answer leaves while `may_answer` is clear.
    """

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.answer = answer
        self.received: list[Request] = []
        self.arrived = asyncio.Condition()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self, authority: LocalAuthority, hosts: list[str]) -> AsyncIterator[None]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.leaf(hosts))
        context.set_alpn_protocols(["h2"])
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield

    async def wait_for(self, count: int) -> list[Request]:
        """Everything received, once that is `count` requests."""
        async with asyncio.timeout(60), self.arrived:
            await self.arrived.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls = writer.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == "h2", "APNs and this server speak nothing but HTTP/2"
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        open_streams: dict[int, Request] = {}
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                for event in connection.receive_data(data):
                    await self._on(event, connection, open_streams)
                writer.write(connection.data_to_send())
                await writer.drain()
        writer.close()

    async def _on(
        self, event: Any, connection: h2.connection.H2Connection, open_streams: dict[int, Request]
    ) -> None:
        if isinstance(event, h2.events.RequestReceived):
            fields = {_text(name): _text(value) for name, value in event.headers}
            assert fields[":method"] == "POST"
            open_streams[event.stream_id] = Request(fields[":path"], fields, b"")
        elif isinstance(event, h2.events.DataReceived):
            open_streams[event.stream_id].body += event.data
            connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            request = open_streams.pop(event.stream_id)
            reply = self.answer(request)
            head = [(":status", str(reply.status)), *reply.headers.items()]
            connection.send_headers(event.stream_id, head, end_stream=not reply.body)
            if reply.body:
                connection.send_data(event.stream_id, reply.body, end_stream=True)
            async with self.arrived:
                self.received.append(request)
                self.arrived.notify_all()
            await self.may_answer.wait()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class Browser:
    """One browser profile's subscription: it alone can read what is sent to it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._auth = secrets.token_bytes(16)

    @property
    def subscription(self) -> dict[str, Any]:
        """As `PushSubscription.toJSON()`."""
        point = self._point(self._key.public_key())
        keys = {"p256dh": b64url_encode(point), "auth": b64url_encode(self._auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def decrypt(self, body: bytes) -> Any:
        """The JSON of a message. Fails loudly for anything a browser would drop."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, record = body[21 : 21 + length], body[21 + length :]
        assert len(record) <= size <= 4096
        assert len(body) <= 4096
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        shared = self._key.exchange(ec.ECDH(), key)
        info = b"WebPush: info\0" + self._point(self._key.public_key()) + sender
        secret = _hmac(_hmac(self._auth, shared), info + b"\x01")
        prk = _hmac(salt, secret)
        content_key = _hmac(prk, b"Content-Encoding: aes128gcm\0\x01")[:16]
        nonce = _hmac(prk, b"Content-Encoding: nonce\0\x01")[:12]
        plaintext = AESGCM(content_key).decrypt(nonce, record, None).rstrip(b"\0")
        assert plaintext.endswith(b"\x02")
        return msgspec.json.decode(plaintext[:-1])

    @staticmethod
    def _point(key: ec.EllipticCurvePublicKey) -> bytes:
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


class PushService:
    """A browser vendor's push service. `statuses` are given out one by one, then 201."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.statuses: list[int] = []
        self.server = Http2Server(self._answer)
        self.browsers: dict[str, Browser] = {}
        self.messages: list[tuple[Browser, Any]] = []
        self.contacts: set[str] = set()
        self.faults: list[str] = []

    @property
    def origin(self) -> str:
        return f"https://{PUSH_HOST}:{self.server.port}"

    def subscribe(self) -> Browser:
        path = f"/wpush/v2/{secrets.token_urlsafe(16)}"
        browser = self.browsers[path] = Browser(self.origin + path)
        return browser

    def _answer(self, request: Request) -> Reply:
        status = self.statuses.pop(0) if self.statuses else 201
        if status != 201:
            return Reply(status, headers={"retry-after": "1"} if status == 429 else {})
        try:
            self._check(request)
        except Exception as error:  # told to the test, which asserts that there were none
            self.faults.append(repr(error))
            return Reply(403)
        browser = self.browsers[request.path]
        self.messages.append((browser, browser.decrypt(request.body)))
        return Reply(201, headers={"location": f"{self.origin}/m/1"})

    def _check(self, request: Request) -> None:
        headers = request.headers
        assert headers["content-encoding"] == "aes128gcm"
        assert int(headers["ttl"]) >= 0
        assert headers["urgency"] in ("very-low", "low", "normal", "high")
        scheme, _, parameters = headers["authorization"].partition(" ")
        assert scheme == "vapid"
        fields = dict(part.strip().split("=", 1) for part in parameters.split(","))
        point = b64url_decode(fields["k"])
        jwk = {"kty": "EC", "crv": "P-256", "x": b64url_encode(point[1:33]), "y": b64url_encode(point[33:])}
        key = PublicKey.from_jwk(jwk, alg="ES256")
        now = self._now() // 1000
        claims = verify_jwt(
            fields["t"],
            key,
            claims=dict,
            now=now,
            typ="JWT",
            issuer=None,
            audience=self.origin,
            algorithms=("ES256",),
        ).claims
        assert now < claims["exp"] <= now + 24 * 3600
        assert claims["sub"].startswith(("mailto:", "https://"))
        self.contacts.add(claims["sub"])


class Apple:
    """APNs. `refusals` are (status, reason) for the next requests; a token of an unknown key is refused always."""

    def __init__(self) -> None:
        self.key = generate_key("ES256")
        self.refusals: list[tuple[int, str]] = []
        self.server = Http2Server(self._answer)
        self.tokens: set[str] = set()

    def origins(self) -> dict[Any, str]:
        port = self.server.port
        return {
            "production": f"https://api.push.localhost:{port}",
            "sandbox": f"https://api.sandbox.push.localhost:{port}",
        }

    def _answer(self, request: Request) -> Reply:
        token = request.headers["authorization"].removeprefix("bearer ")
        header, claims = peek_header(token), _claims(token, self.key.public)
        if claims is None or header.get("kid") != "KEY1234567" or claims["iss"] != "TEAM123456":
            return Reply(403, b'{"reason":"InvalidProviderToken"}')
        self.tokens.add(token)
        if self.refusals:
            status, reason = self.refusals.pop(0)
            return Reply(status, msgspec.json.encode({"reason": reason}))
        return Reply(200, headers={"apns-id": "B1B2B3B4-0000-0000-0000-000000000000"})


class Google:
    """FCM and its token endpoint. `refusals` are (status, error code) for the next messages."""

    def __init__(self) -> None:
        self.key = _RSA
        self.refusals: list[tuple[int, str]] = []
        self.server = Http2Server(self._answer)
        self.valid: set[str] = set()

    def account(self) -> dict[str, str]:
        return {
            "type": "service_account",
            "project_id": "doorward-test",
            "client_email": "push@doorward-test.iam.gserviceaccount.com",
            "private_key": self.key.to_pem(),
            "token_uri": f"https://fcm.localhost:{self.server.port}/token",
        }

    @property
    def origin(self) -> str:
        return f"https://fcm.localhost:{self.server.port}"

    def _token(self, request: Request) -> Reply:
        form = dict(parse_qsl(request.body.decode()))
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        claims = _claims(form["assertion"], self.key.public)
        assert claims is not None
        assert claims["aud"] == f"{self.origin}/token"
        assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
        assert claims["exp"] - claims["iat"] <= 3600
        token = f"ya29.{secrets.token_urlsafe(8)}"
        self.valid.add(token)
        return Reply(200, msgspec.json.encode({"access_token": token, "expires_in": 3599}))

    def _answer(self, request: Request) -> Reply:
        if request.path == "/token":
            return self._token(request)
        if request.headers["authorization"].removeprefix("Bearer ") not in self.valid:
            return _fcm_error(401, "UNAUTHENTICATED")
        if self.refusals:
            return _fcm_error(*self.refusals.pop(0))
        return Reply(200, b'{"name":"projects/doorward-test/messages/0:1"}')


def _fcm_error(status: int, code: str) -> Reply:
    detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
    error = {"code": status, "message": "no", "status": "FAILED", "details": [detail]}
    return Reply(status, msgspec.json.encode({"error": error}))


_RSA = generate_key("RS256")


def _claims(token: str, key: PublicKey) -> Any:
    """The claims of a token signed by the other half of `key`; None when it was not."""
    try:
        return msgspec.json.decode(verify_jws(token, key))
    except JoseError:
        return None


@dataclass
class Services:
    """All of them, and a client that trusts their certificates and may reach the push service on loopback."""

    push: PushService
    apple: Apple
    google: Google
    authority: LocalAuthority
    outbound: Outbound


@contextlib.asynccontextmanager
async def running_services(folder: Path, now: Callable[[], int]) -> AsyncIterator[Services]:
    authority = ensure_local_authority(folder)
    push, apple, google = PushService(now), Apple(), Google()
    outbound = Outbound(ca_file=authority.certificate_path, private_hosts=[PUSH_HOST], timeout=60)
    async with contextlib.AsyncExitStack() as stack:
        for server in (push.server, apple.server, google.server):
            await stack.enter_async_context(server.running(authority, HOSTS))
        stack.push_async_callback(outbound.close)
        yield Services(push, apple, google, authority, outbound)

"""The parties a relay talks to, played with keys of their own: the accounts server and an environment."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from doorward.jose import PrivateKey, generate_key, peek_claims, sign_jwt
from doorward.t3_connect import iso, public_key_to_pem

Answer = tuple[int, bytes, list[tuple[bytes, bytes]]]


async def _body(receive: Any) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


async def _answer(send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


_RSA_KEY = generate_key("RS256", kid="ins_test")


class AccountsServer:
    """Publishes one RSA key and signs sessions and access tokens with it."""

    def __init__(self, origin: str, clock: Callable[[], int]) -> None:
        self.origin = origin
        self.key = _RSA_KEY
        self._clock = clock
        self.fetches = 0

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.fetches += 1
        jwks = {"keys": [{**self.key.public.to_jwk(), "kid": "ins_test", "alg": "RS256", "use": "sig"}]}
        await _answer(send, 200, msgspec.json.encode(jwks), [(b"content-type", b"application/json")])

    def session(self, user_id: str = "user_alice", *, key: PrivateKey | None = None, **changes: Any) -> str:
        now = self._clock() // 1000
        claims: dict[str, Any] = {
            "iss": self.origin,
            "sub": user_id,
            "sid": "sess_1",
            "aud": "t3-code-relay",
            "iat": now,
            "exp": now + 60,
            **changes,
        }
        present = {name: value for name, value in claims.items() if value is not None}
        return sign_jwt(present, key or self.key, typ="JWT")

    def access_token(
        self,
        user_id: str = "user_alice",
        *,
        client_id: str = "doorward-cli",
        typ: str = "at+jwt",
        **changes: Any,
    ) -> str:
        now = self._clock() // 1000
        claims = {
            "iss": self.origin,
            "sub": user_id,
            "client_id": client_id,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + 3600,
            **changes,
        }
        return sign_jwt(claims, self.key, typ=typ)


class Environment:
    """A machine with a link key: signs link proofs, and answers health and mint requests as told.

    `answer_mint` and `answer_health` may be replaced by a function of (verified request claims) → (status, body,
    headers); the default is an honest answer. `received` holds (path, claims, headers) of every request.
    """

    def __init__(self, relay_issuer: str, clock: Callable[[], int], environment_id: str = "env-1") -> None:
        self.environment_id = environment_id
        self.key = generate_key("EdDSA")
        self._issuer = relay_issuer
        self._clock = clock
        self.received: list[tuple[str, dict[str, Any], dict[bytes, bytes]]] = []
        self.answer_mint: Callable[[dict[str, Any]], Answer] = self.mint
        self.answer_health: Callable[[dict[str, Any]], Answer] = self.health
        self.delay = 0.0
        self.was_asked = asyncio.Event()

    @property
    def public_key_pem(self) -> str:
        return public_key_to_pem(self.key.public)

    def twin(self, environment_id: str) -> "Environment":
        """Another machine, with a key of its own, of the same relay."""
        return Environment(self._issuer, self._clock, environment_id)

    def descriptor(self) -> dict[str, Any]:
        return {
            "environmentId": self.environment_id,
            "label": "Workshop",
            "platform": {"os": "linux", "arch": "x64"},
            "serverVersion": "1.2.3",
            "capabilities": {"repositoryIdentity": True, "somethingNew": {"depth": [1, 2]}},
        }

    def claims(self, *, lifetime: int = 300, **more: Any) -> dict[str, Any]:
        now = self._clock() // 1000
        return {
            "iss": f"t3-env:{self.environment_id}",
            "aud": self._issuer,
            "sub": self.environment_id,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + lifetime,
            "environmentId": self.environment_id,
            **more,
        }

    def sign(self, claims: dict[str, Any], typ: str, key: PrivateKey | None = None) -> str:
        return sign_jwt(claims, key or self.key, typ=typ)

    def link_proof(self, challenge: str, *, key: PrivateKey | None = None, **changes: Any) -> str:
        claims = self.claims(
            challenge=challenge,
            descriptor=self.descriptor(),
            environmentPublicKey=self.public_key_pem,
            endpoint={
                "httpBaseUrl": "https://mine.example.test/",
                "wsBaseUrl": "wss://mine.example.test/ws",
                "providerKind": "cloudflare_tunnel",
            },
            origin={"localHttpHost": "127.0.0.1", "localHttpPort": 3773},
            scopes=["agent_activity_notifications", "managed_tunnels"],
        )
        return self.sign({**claims, **changes}, "t3-env-link+jwt", key)

    def recovery_body(
        self, user_id: str = "user_alice", *, tunnel_id: str | None = None, port: int = 3773, **changes: Any
    ) -> dict[str, Any]:
        """A request about this machine's tunnel: `register` with a tunnel id, `recover` without. `changes` are
        made to the proof's claims only."""
        body = {"cloudUserId": user_id, "origin": {"localHttpHost": "127.0.0.1", "localHttpPort": port}}
        if tunnel_id is not None:
            body["tunnelId"] = tunnel_id
        action = "recover" if tunnel_id is None else "register"
        key, typ = changes.pop("key", None), changes.pop("typ", "t3-env-managed-tunnel-recovery+jwt")
        proof = self.sign({**self.claims(action=action, **body), **changes}, typ, key)
        return {**body, "proof": proof}

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        body = await _body(receive)
        request = peek_claims(msgspec.json.decode(body)["proof"], dict)
        self.received.append((scope["path"], request, dict(scope["headers"])))
        self.was_asked.set()
        if self.delay:
            await asyncio.sleep(self.delay)
        answer = (
            self.answer_mint if scope["path"] == "/api/t3-connect/mint-credential" else self.answer_health
        )
        await _answer(send, *answer(request))

    def json(self, value: Any, status: int = 200) -> Answer:
        return status, msgspec.json.encode(value), [(b"content-type", b"application/json")]

    def mint_claims(self, request: dict[str, Any], **more: Any) -> dict[str, Any]:
        return self.claims(
            clientProofKeyThumbprint=request["clientProofKeyThumbprint"],
            requestNonce=request["nonce"],
            **more,
        )

    def minted(self, request: dict[str, Any], **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """(body without proof, claims) of an honest authorised answer."""
        claims = {**self.mint_claims(request, lifetime=120, credential="ABCDEFGHJKLM"), **changes}
        return {"credential": "ABCDEFGHJKLM", "expiresAt": iso(self._clock() + 120_000)}, claims

    def pending_parts(
        self, request: dict[str, Any], status: str = "pending"
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        body = {
            "status": "pending_approval",
            "clientProofKeyThumbprint": request["clientProofKeyThumbprint"],
            "approvalStatus": status,
            "requestedAt": iso(self._clock()),
        }
        more = {name: body[name] for name in ("status", "approvalStatus", "requestedAt")}
        return body, self.mint_claims(request, **more)

    def answer(self, body: dict[str, Any], claims: dict[str, Any], key: PrivateKey | None = None) -> Answer:
        return self.json({**body, "proof": self.sign(claims, "t3-env-mint+jwt", key)})

    def mint(self, request: dict[str, Any]) -> Answer:
        return self.answer(*self.minted(request))

    def pending(self, request: dict[str, Any]) -> Answer:
        return self.answer(*self.pending_parts(request))

    def rejected(self, request: dict[str, Any]) -> Answer:
        return self.answer(*self.pending_parts(request, "rejected"))

    def health_parts(self, request: dict[str, Any], **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        body = {
            "environmentId": self.environment_id,
            "status": "online",
            "descriptor": self.descriptor(),
            "checkedAt": iso(self._clock()),
        }
        body.update(changes)
        return body, self.claims(
            requestNonce=request["nonce"],
            **{name: body[name] for name in ("status", "descriptor", "checkedAt")},
        )

    def health_answer(self, body: dict[str, Any], claims: dict[str, Any]) -> Answer:
        return self.json({**body, "proof": self.sign(claims, "t3-env-health+jwt")})

    def health(self, request: dict[str, Any]) -> Answer:
        return self.health_answer(*self.health_parts(request))

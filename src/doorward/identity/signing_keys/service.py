"""Making, loading, rotating and publishing the signing keys."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping

import msgspec

from doorward.identity.audit import store as audit
from doorward.identity.identifiers import new_id
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.signing_keys import rules, store
from doorward.identity.signing_keys.store import KeyState, SigningKeyRecord
from doorward.identity.templates import store as templates
from doorward.jose import PrivateKey, PublicKey, generate_key, sign_jwt
from doorward.store import Clock, Database, Sealer, Tx

_log = logging.getLogger("doorward.identity.signing_keys")
_HASH_SECRET = "keyed-hash"  # noqa: S105  (the name of a row)


class RsaJwk(msgspec.Struct, frozen=True):
    """One published key; the member order is Clerk's."""

    use: str
    kty: str
    kid: str
    alg: str
    n: str
    e: str


class KeySet(msgspec.Struct, frozen=True):
    """RFC 7517 §5."""

    keys: list[RsaJwk]


class SigningKeys:
    """The keys in memory, kept current by the channel `identity.signing_keys`."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._active: PrivateKey | None = None
        self._published: list[PublicKey] = []
        self._key_set = KeySet([])
        self._loading = asyncio.Lock()
        self._promised: dict[str, int] = {}  # by kid: how long it stays published for machines' tokens

    async def prepare(self) -> None:
        """Load the keys; make the first one when there is none."""
        await self.reload()
        if self._active is None:
            await self._generate("active")
            await self.reload()

    async def prepare_next(self) -> None:
        """Have a successor published long before it signs."""
        records = await self._database.read(store.everything)
        if not any(record.state == "next" for record in records):
            await self._generate("next")
            await self.reload()

    async def reload(self) -> None:
        """One after another: what was read earlier never takes the place of what was read later."""
        async with self._loading:
            self._take(await self._database.read(store.everything))

    def _take(self, records: list[SigningKeyRecord]) -> None:
        self._published = [
            PublicKey.from_jwk(msgspec.json.decode(record.public_jwk.encode()), alg="RS256")
            for record in records
        ]
        self._key_set = KeySet(
            [msgspec.json.decode(record.public_jwk.encode(), type=RsaJwk) for record in records]
        )
        for record in records:
            if record.state == "active" and record.sealed_private_key is not None:
                if self._active is None or self._active.kid != record.kid:
                    self._active = self._open(record.kid, record.sealed_private_key)
                return

    async def follow(self) -> None:
        """Reload whenever any node changes the keys; runs until cancelled."""
        async with self._database.subscribe(store.CHANNEL) as events:
            await self.reload()  # a change between prepare() and the subscription was told to nobody
            async for _ in events:
                await self.reload()

    @property
    def key_set(self) -> KeySet:
        return self._key_set

    @property
    def public_keys(self) -> list[PublicKey]:
        """Every published key: what our own tokens are verified with."""
        return self._published

    def sign(
        self,
        claims: msgspec.Struct | Mapping[str, object],
        *,
        typ: str,
        header: Mapping[str, object] | None = None,
    ) -> str:
        if self._active is None:
            raise RuntimeError("signing keys are used before prepare()")
        return sign_jwt(claims, self._active, typ=typ, header=header)

    async def sign_long_lived(
        self, claims: Mapping[str, object], *, typ: str, header: Mapping[str, object], expires_at: int
    ) -> str:
        """`sign` for a token that may outlive every other kind (`expires_at` in milliseconds): its key stays in the
        key set until then, whatever is rotated meanwhile."""
        key = self._active
        if key is None or key.kid is None:
            raise RuntimeError("signing keys are used before prepare()")
        kid, until = key.kid, rules.keep_published_until(expires_at)
        if self._promised.get(kid, 0) < until:
            await self._database.write(lambda tx: store.keep_published(tx, kid, until))
            self._promised[kid] = until
        return sign_jwt(claims, key, typ=typ, header=header)

    async def rotate(self, *, force: bool = False) -> str:
        """Put the waiting key to work and publish a new successor; the new key's kid.

        Without `force` it raises ValueError while verifiers may still hold a key set without the waiting key; force is
        for a key that leaked.
        """
        now = self._clock()

        def work(tx: Tx) -> str | None:
            waiting = store.waiting(tx)
            if waiting is None:
                return None
            ready_at = rules.may_sign_from(waiting.created_at)
            if now < ready_at and not force:
                raise ValueError(
                    f"The next key was published {(now - waiting.created_at) // 1000} s ago; verifiers cache key sets, "
                    f"and know it {(ready_at - waiting.created_at) // 1000} s after that: rotate in "
                    f"{(ready_at - now) // 1000} s, or force it where the key leaked."
                )
            until = rules.publish_until(now, templates.longest_lifetime(tx) * 1000)
            store.promote(tx, waiting.kid, now=now, publish_until=until)
            audit.record(tx, now=now, actor=None, action="signing_key.activated", object_id=waiting.kid)
            return waiting.kid

        kid = None
        while kid is None:  # another node may take the waiting key between the two steps
            await self.prepare_next()
            kid = await self._database.write(work)
        await self.prepare_next()
        await self.reload()
        return kid

    async def forget_gone(self) -> None:
        now = self._clock()
        if await self._database.write(lambda tx: store.delete_gone(tx, now)):
            await self.reload()

    async def _generate(self, state: KeyState) -> None:
        kid = new_id("ins")
        key = await asyncio.to_thread(generate_key, "RS256", kid=kid)
        now = self._clock()
        public = key.public.to_jwk()
        jwk = RsaJwk(use="sig", kty="RSA", kid=kid, alg="RS256", n=str(public["n"]), e=str(public["e"]))
        record = SigningKeyRecord(
            kid=kid,
            state=state,
            sealed_private_key=self._sealer.seal(key.to_pem().encode(), context=key_context(kid)),
            public_jwk=msgspec.json.encode(jwk).decode(),
            created_at=now,
            activated_at=now if state == "active" else None,
            retired_at=None,
            publish_until=None,
        )
        if await self._database.write(lambda tx: store.insert(tx, record)):
            _log.info("made signing key %s (%s)", kid, state)

    def _open(self, kid: str, sealed: bytes) -> PrivateKey:
        pem = self._sealer.open(sealed, context=key_context(kid)).decode()
        return PrivateKey.from_pem(pem, alg="RS256", kid=kid, generated_by_us=True)


def key_context(kid: str) -> str:
    """What a sealed signing key is bound to."""
    return f"identity/signing-key/{kid}"


def secret_context(name: str) -> str:
    """What a sealed row of `identity_secrets` is bound to."""
    return f"identity/secret/{name}"


async def load_keyed_hash(database: Database, sealer: Sealer, clock: Clock) -> KeyedHash:
    """The instance's hash secret, made at the first start and sealed ever after."""
    context = secret_context(_HASH_SECRET)
    sealed = sealer.seal(secrets.token_bytes(32), context=context)
    now = clock()

    def work(tx: Tx) -> bytes:
        stored = store.find_secret(tx, _HASH_SECRET)
        if stored is None:
            store.insert_secret(tx, _HASH_SECRET, sealed, now)
            return sealed
        return stored

    return KeyedHash(sealer.open(await database.write(work), context=context))

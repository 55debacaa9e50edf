"""Minting, verifying, listing and revoking machines' tokens."""

from __future__ import annotations

from typing import Any

import msgspec

from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    AUTHORIZATION_INVALID,
    BAD_REQUEST,
    MACHINE_SECRET_KEY_INVALID,
    MACHINE_TOKEN_RESERVED_CLAIM,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_hex_id
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.m2m_tokens import rules, store
from doorward.identity.m2m_tokens.store import M2MToken
from doorward.identity.machines import store as machines
from doorward.identity.resources.for_back_ends import m2m_tokens as resources
from doorward.identity.signing_keys.service import SigningKeys
from doorward.identity.webhooks import outbox
from doorward.store import Clock, Database, Tx

_SECRET = "m2m token"  # noqa: S105  (names a purpose)
_STORED = "m2m token hash"
_UNKNOWN = not_found("No token that counts here has this value or id.")


class TokenWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine asks for. Times in seconds; no lifetime means its machine's own."""

    is_jwt: bool = False
    lifetime: float | None = None
    claims: dict[str, Any] | None = None
    min_remaining: int | None = None


class MadeToken(msgspec.Struct, frozen=True):
    """A token, and the value that whoever holds it sends."""

    token: M2MToken
    value: str

    def __repr__(self) -> str:
        return f"MadeToken({self.token.id})"


class M2MTokens:
    """In `machine_id=None` the holder of the instance's secret key asks, and may see every machine's tokens."""

    def __init__(
        self,
        issuer: str,
        database: Database,
        clock: Clock,
        *,
        keyed_hash: KeyedHash,
        signing_keys: SigningKeys,
    ) -> None:
        self._issuer = issuer
        self._database = database
        self._clock = clock
        self._hash = keyed_hash
        self._signing_keys = signing_keys

    async def create(self, machine_id: str, wish: TokenWish) -> MadeToken:
        """A token of the machine. Raises Refused: 400 for claims or lifetimes that cannot be, 401 for a machine that
        has just been deleted."""
        if wish.claims is not None:
            _check_claims(wish.claims, is_jwt=wish.is_jwt)
        if wish.is_jwt:
            return await self._sign(machine_id, wish)
        now, token_id = self._clock(), new_hex_id("mt")
        value = self._value(token_id)
        token_hash = self._hash.of(_STORED, value)

        def work(tx: Tx) -> M2MToken:
            lifetime, scopes = _terms(tx, machine_id, wish)
            likeness = rules.likeness(wish.claims, scopes)
            if wish.min_remaining is not None:
                if wish.min_remaining * 1000 >= lifetime:
                    raise _bad("min_remaining_ttl_seconds", "it must be less than the token's lifetime")
                alike = store.longest_lived(tx, machine_id, likeness)
                if alike is not None and alike.expire_at - now >= max(wish.min_remaining * 1000, 1):
                    return alike
            token = _token(token_id, machine_id, scopes, wish, now, lifetime)
            store.insert(tx, token, token_hash=token_hash, likeness=likeness)
            outbox.enqueue(tx, "m2mToken.created", resources.m2m_token(token, now), now=now)
            return token

        token = await self._database.write(work)
        return MadeToken(token, value if token.id == token_id else self._value(token.id))

    async def verify(self, value: str, machine_id: str | None) -> M2MToken:
        """The token, if it is opaque, lives, and is meant for the machine that asks. Raises Refused (404) of any
        other, whatever is wrong with it."""
        if not rules.is_opaque_token(value):
            raise Refused(_UNKNOWN)
        token_hash, now = self._hash.of(_STORED, value), self._clock()
        token = await self._database.lookup(lambda tx: store.find_by_hash(tx, token_hash))
        if token is None or not token.is_live(now) or not _is_meant_for(token, machine_id):
            raise Refused(_UNKNOWN)
        if not rules.is_use_worth_noting(token.last_used_at, now):
            return token
        token_id = token.id
        await self._database.write(lambda tx: store.note_use(tx, token_id, now))
        return msgspec.structs.replace(token, last_used_at=now, updated_at=now)

    async def page(
        self,
        subject: str,
        machine_id: str | None,
        *,
        with_revoked: bool,
        with_expired: bool,
        limit: int,
        offset: int,
    ) -> tuple[list[M2MToken], int]:
        """Opaque tokens of the machine `subject`. Raises Refused: 403 for another machine, 404 for one that is none."""
        if machine_id is not None and machine_id != subject:
            raise Refused(AUTHORIZATION_INVALID.at(long_message="A machine lists its own tokens only."))
        now = self._clock()

        def read(tx: Tx) -> tuple[list[M2MToken], int]:
            if machines.find(tx, subject) is None:
                raise Refused(not_found("No machine of this instance has this id."))
            return store.page(
                tx,
                subject,
                now=now,
                with_revoked=with_revoked,
                with_expired=with_expired,
                limit=limit,
                offset=offset,
            )

        return await self._database.read(read)

    async def revoke(
        self, token_id: str, machine_id: str | None, *, reason: str | None, actor: str
    ) -> M2MToken:
        """From now on nobody's check accepts it; again does nothing. Raises Refused (404) for a token of another
        machine, and for JWTs, which are not kept."""
        now = self._clock()

        def work(tx: Tx) -> M2MToken:
            token = store.find(tx, token_id)
            if token is None or machine_id not in (None, token.machine_id):
                raise Refused(_UNKNOWN)
            if not store.revoke(tx, token_id, reason=reason, now=now):
                return token
            audit.record(
                tx,
                now=now,
                actor=actor,
                action="m2m_token.revoked",
                object_id=token_id,
                detail=token.machine_id,
            )
            revoked = msgspec.structs.replace(token, revoked_at=now, revocation_reason=reason, updated_at=now)
            outbox.enqueue(tx, "m2mToken.revoked", resources.m2m_token(revoked, now), now=now)
            return revoked

        return await self._database.write(work)

    async def _sign(self, machine_id: str, wish: TokenWish) -> MadeToken:
        lifetime, scopes = await self._database.read(lambda tx: _terms(tx, machine_id, wish))
        seconds = self._clock() // 1000
        token = _token(new_hex_id("mt"), machine_id, scopes, wish, seconds * 1000, lifetime)
        expires_at = -(-token.expire_at // 1000)
        claims = rules.jwt_claims(
            wish.claims,
            issuer=self._issuer,
            machine_id=machine_id,
            token_id=token.id,
            scopes=scopes,
            issued_at=seconds,
            expires_at=expires_at,
        )
        jwt = await self._signing_keys.sign_long_lived(
            claims, typ="JWT", header={"cat": rules.CATEGORY}, expires_at=expires_at * 1000
        )
        return MadeToken(msgspec.structs.replace(token, expire_at=expires_at * 1000), jwt)

    def _value(self, token_id: str) -> str:
        return f"mt_{self._hash.secret_for(_SECRET, token_id)}"


def _check_claims(claims: dict[str, Any], *, is_jwt: bool) -> None:
    """Raises Refused (400)."""
    reserved = rules.reserved_claims(claims) if is_jwt else []
    if reserved:
        raise Refused(
            *(
                MACHINE_TOKEN_RESERVED_CLAIM.at(
                    "claims", long_message=f"The token itself says '{name}': a claim cannot."
                )
                for name in reserved
            )
        )
    problem = rules.claims_problem(claims)
    if problem is not None:
        raise _bad("claims", problem)


def _terms(tx: Tx, machine_id: str, wish: TokenWish) -> tuple[int, list[str]]:
    """Lifetime in milliseconds and scopes of the machine's next token. Raises Refused (401): its key was good a moment
    ago, the machine is no more."""
    machine = machines.find(tx, machine_id)
    if machine is None:
        raise Refused(MACHINE_SECRET_KEY_INVALID)
    seconds = machine.default_token_ttl if wish.lifetime is None else wish.lifetime
    return rules.lifetime_ms(seconds), machines.scope_ids(tx, machine_id)


def _token(
    token_id: str, machine_id: str, scopes: list[str], wish: TokenWish, now: int, lifetime: int
) -> M2MToken:
    return M2MToken(
        id=token_id,
        machine_id=machine_id,
        scopes=tuple(scopes),
        claims=msgspec.json.encode(wish.claims).decode(),
        created_at=now,
        updated_at=now,
        expire_at=now + lifetime,
    )


def _is_meant_for(token: M2MToken, machine_id: str | None) -> bool:
    return machine_id is None or machine_id in token.scopes


def _bad(member: str, why: str) -> Refused:
    return Refused(BAD_REQUEST.at(long_message=f"Invalid 'body.{member}': {why}."))

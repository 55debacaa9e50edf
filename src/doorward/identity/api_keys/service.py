"""Making, verifying, listing, changing and revoking API keys."""

from __future__ import annotations

from typing import Any

import msgspec

from doorward.identity.accounts import store as accounts
from doorward.identity.api_keys import rules, store
from doorward.identity.api_keys.store import APIKey
from doorward.identity.audit import store as audit
from doorward.identity.errors import BAD_REQUEST, Refused, not_found
from doorward.identity.identifiers import new_hex_id
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.m2m_tokens.rules import claims_problem, lifetime_ms
from doorward.identity.machines import store as machines
from doorward.identity.organizations import store as organizations
from doorward.store import Clock, Database, Sealer, Tx

_PURPOSE = "api key"
_UNKNOWN = not_found("No API key that counts here has this secret or id.")


class KeyWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a key is to be. `lifetime` in seconds; without one it never ends by itself."""

    type: str
    name: str
    subject: str
    description: str | None = None
    claims: dict[str, Any] | None = None
    scopes: tuple[str, ...] = ()
    created_by: str | None = None
    lifetime: float | None = None


class KeyChange(msgspec.Struct, frozen=True, kw_only=True):
    """UNSET members stay as they are. `lifetime` counts from now; None takes the end away."""

    subject: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    claims: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    scopes: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    lifetime: float | msgspec.UnsetType | None = msgspec.UNSET


class MadeKey(msgspec.Struct, frozen=True):
    key: APIKey
    secret: str

    def __repr__(self) -> str:
        return f"MadeKey({self.key.id})"


class APIKeys:
    """`actor` is who asks, for the audit trail. Methods that name a key raise Refused (404) when there is none."""

    def __init__(self, database: Database, clock: Clock, *, keyed_hash: KeyedHash, sealer: Sealer) -> None:
        self._database = database
        self._clock = clock
        self._hash = keyed_hash
        self._sealer = sealer

    async def create(self, wish: KeyWish, *, actor: str) -> MadeKey:
        """Raises Refused: 400 for claims nobody should be handed, 404 for a subject or maker that is none."""
        _check_claims(wish.claims)
        now, key_id, secret = self._clock(), new_hex_id("ak"), rules.new_api_secret()
        sealed = self._sealer.seal(secret.encode(), context=rules.secret_context(key_id))
        key = APIKey(
            id=key_id,
            type=wish.type,
            subject=wish.subject,
            name=wish.name,
            description=wish.description,
            claims=_json(wish.claims),
            scopes=wish.scopes,
            created_by=wish.created_by,
            created_at=now,
            updated_at=now,
            expire_at=None if wish.lifetime is None else now + lifetime_ms(wish.lifetime),
        )

        def work(tx: Tx) -> None:
            _require_subject(tx, key.subject)
            if key.created_by is not None and accounts.find_user(tx, key.created_by) is None:
                raise Refused(not_found("created_by is no user of this instance."))
            store.insert(tx, key, key_hash=self._hash.of(_PURPOSE, secret), sealed_secret=sealed)
            _record(tx, now, actor, "api_key.made", key)

        await self._database.write(work)
        return MadeKey(key, secret)

    async def verify(self, secret: str) -> APIKey:
        """The key, if it works and its subject may use it. Raises Refused (404) of any other, whatever is wrong."""
        if not rules.is_api_secret(secret):
            raise Refused(_UNKNOWN)
        key_hash, now = self._hash.of(_PURPOSE, secret), self._clock()

        def read(tx: Tx) -> APIKey:
            key = store.find_by_hash(tx, key_hash)
            if key is None or not key.is_live(now) or not _may_act(tx, key.subject):
                raise Refused(_UNKNOWN)
            return key

        key = await self._database.lookup(read)
        if not rules.is_use_worth_noting(key.last_used_at, now):
            return key
        await self._database.write(lambda tx: store.note_use(tx, key.id, now))
        return msgspec.structs.replace(key, last_used_at=now)

    async def get(self, key_id: str) -> APIKey:
        return await self._database.read(lambda tx: _require(tx, key_id))

    async def secret(self, key_id: str, *, actor: str) -> str:
        now = self._clock()

        def work(tx: Tx) -> bytes:
            key, sealed = _require(tx, key_id), store.find_sealed_secret(tx, key_id)
            if sealed is None:
                raise Refused(_UNKNOWN)
            _record(tx, now, actor, "api_key.secret_read", key)
            return sealed

        sealed = await self._database.write(work)
        return self._sealer.open(sealed, context=rules.secret_context(key_id)).decode()

    async def page(
        self,
        subject: str,
        key_type: str,
        *,
        query: str | None,
        with_invalid: bool,
        limit: int,
        offset: int,
    ) -> tuple[list[APIKey], int]:
        live_at = None if with_invalid else self._clock()
        return await self._database.read(
            lambda tx: store.page(
                tx, subject, key_type, query=query, live_at=live_at, limit=limit, offset=offset
            )
        )

    async def update(self, key_id: str, change: KeyChange, *, actor: str) -> APIKey:
        """Raises Refused as `create` does."""
        if isinstance(change.claims, dict):
            _check_claims(change.claims)
        now = self._clock()

        def work(tx: Tx) -> APIKey:
            key = _changed(_require(tx, key_id), change, now)
            if change.subject is not msgspec.UNSET:
                _require_subject(tx, key.subject)
            store.update(tx, key)
            _record(tx, now, actor, "api_key.changed", key)
            return key

        return await self._database.write(work)

    async def revoke(self, key_id: str, *, reason: str | None, actor: str) -> APIKey:
        """From now on no check accepts it; again does nothing."""
        now = self._clock()

        def work(tx: Tx) -> APIKey:
            key = _require(tx, key_id)
            if key.revoked_at is not None:
                return key
            key = msgspec.structs.replace(key, revoked_at=now, revocation_reason=reason, updated_at=now)
            store.update(tx, key)
            _record(tx, now, actor, "api_key.revoked", key)
            return key

        return await self._database.write(work)

    async def delete(self, key_id: str, *, actor: str) -> None:
        now = self._clock()

        def work(tx: Tx) -> None:
            key = _require(tx, key_id)
            store.delete(tx, key_id)
            _record(tx, now, actor, "api_key.deleted", key)

        await self._database.write(work)


def _may_act(tx: Tx, subject: str) -> bool:
    """Whether keys of this subject work now: what is deleted or banned has none."""
    if subject.startswith("user_"):
        user = accounts.find_user(tx, subject)
        return user is not None and not user.is_banned
    if subject.startswith("mch_"):
        return machines.find(tx, subject) is not None
    if subject.startswith("org_"):
        organization = organizations.find(tx, subject)
        return organization is not None and organization.id == subject  # a slug names it, but is no subject
    return False


def _require_subject(tx: Tx, subject: str) -> None:
    if not _may_act(tx, subject):
        raise Refused(not_found("The subject is none of this instance, or is banned."))


def _require(tx: Tx, key_id: str) -> APIKey:
    key = store.find(tx, key_id)
    if key is None:
        raise Refused(_UNKNOWN)
    return key


def _changed(key: APIKey, change: KeyChange, now: int) -> APIKey:
    members: dict[str, Any] = {
        name: value
        for name in ("subject", "description", "scopes")
        if (value := getattr(change, name)) is not msgspec.UNSET
    }
    if change.claims is not msgspec.UNSET:
        members["claims"] = _json(change.claims)
    if change.lifetime is not msgspec.UNSET:
        members["expire_at"] = None if change.lifetime is None else now + lifetime_ms(change.lifetime)
    return msgspec.structs.replace(key, **members, updated_at=now)


def _check_claims(claims: dict[str, Any] | None) -> None:
    problem = None if claims is None else claims_problem(claims)
    if problem is not None:
        raise Refused(BAD_REQUEST.at(long_message=f"Invalid 'body.claims': {problem}."))


def _json(claims: dict[str, Any] | None) -> str:
    return msgspec.json.encode(claims).decode()


def _record(tx: Tx, now: int, actor: str, action: str, key: APIKey) -> None:
    audit.record(tx, now=now, actor=actor, action=action, object_id=key.id, detail=key.subject)

"""`/api_keys`, with and without version."""

from __future__ import annotations

from typing import Any

import msgspec

from doorward.identity.api_keys import APIKey, KeyChange, KeyWish
from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire import api_keys as wire
from doorward.identity.backend_api.wire.shapes import Listed, NoBody, NoQuery
from doorward.identity.resources.deleted import Deleted

DEFAULT_TYPE = "api_key"


async def create_api_key(call: Call[NoQuery, wire.CreateAPIKey]) -> wire.MadeAPIKey:
    """Make a key of a user, an organization or a machine; its secret is in the answer."""
    body = call.body
    wish = KeyWish(
        type=body.type or DEFAULT_TYPE,
        name=body.name,
        subject=body.subject,
        description=body.description,
        claims=body.claims,
        scopes=body.scopes or (),
        created_by=body.created_by,
        lifetime=body.seconds_until_expiration,
    )
    made = await call.identity.api_keys.create(wish, actor=call.caller.id)
    return wire.MadeAPIKey(**_members(made.key, call.now), secret=made.secret)


async def list_api_keys(call: Call[wire.ListAPIKeys, NoBody]) -> Listed[wire.APIKey]:
    """Keys of a subject, newest first."""
    query = call.query
    keys, total = await call.identity.api_keys.page(
        query.subject,
        query.type,
        query=query.query or None,
        with_invalid=query.include_invalid == "true",
        limit=query.limit,
        offset=query.offset,
    )
    return Listed([_key(key, call) for key in keys], total)


async def get_api_key(call: Call[NoQuery, NoBody]) -> wire.APIKey:
    """One key."""
    return _key(await call.identity.api_keys.get(call.path["api_key_id"]), call)


async def update_api_key(call: Call[NoQuery, wire.UpdateAPIKey]) -> wire.APIKey:
    """Change what a key says, or when it ends."""
    body = call.body
    change = KeyChange(
        subject=body.subject,
        description=body.description,
        claims=body.claims,
        scopes=body.scopes,
        lifetime=body.seconds_until_expiration,
    )
    key = await call.identity.api_keys.update(call.path["api_key_id"], change, actor=call.caller.id)
    return _key(key, call)


async def delete_api_key(call: Call[NoQuery, NoBody]) -> Deleted:
    """Delete a key."""
    key_id = call.path["api_key_id"]
    await call.identity.api_keys.delete(key_id, actor=call.caller.id)
    return Deleted("api_key", key_id)


async def get_api_key_secret(call: Call[NoQuery, NoBody]) -> wire.APIKeySecret:
    """A key's secret."""
    return wire.APIKeySecret(
        await call.identity.api_keys.secret(call.path["api_key_id"], actor=call.caller.id)
    )


async def revoke_api_key(call: Call[NoQuery, wire.RevokeAPIKey]) -> wire.APIKey:
    """Revoke a key."""
    key = await call.identity.api_keys.revoke(
        call.path["api_key_id"], reason=call.body.revocation_reason, actor=call.caller.id
    )
    return _key(key, call)


async def verify_api_key(call: Call[NoQuery, wire.VerifyAPIKey]) -> wire.APIKey:
    """The key that a secret is, if it works."""
    return _key(await call.identity.api_keys.verify(call.body.secret), call)


def _key(key: APIKey, call: Call[Any, Any]) -> wire.APIKey:
    return wire.APIKey(**_members(key, call.now))


def _members(key: APIKey, now: int) -> dict[str, Any]:
    """What every form of a key tells."""
    return {
        "id": key.id,
        "type": key.type,
        "subject": key.subject,
        "name": key.name,
        "description": key.description,
        "claims": msgspec.Raw(key.claims.encode()),
        "scopes": list(key.scopes),
        "revoked": key.revoked_at is not None,
        "revocation_reason": key.revocation_reason,
        "expired": key.is_expired(now),
        "expiration": key.expire_at,
        "created_by": key.created_by,
        "last_used_at": key.last_used_at,
        "created_at": key.created_at,
        "updated_at": key.updated_at,
    }


_KEYS, _KEY = "/api_keys", "/api_keys/{api_key_id}"
OPERATIONS = (
    operation(
        "POST",
        _KEYS,
        create_api_key,
        body=wire.CreateAPIKey,
        answer=wire.MadeAPIKey,
        status=201,
        is_versionless=True,
    ),
    operation(
        "GET",
        _KEYS,
        list_api_keys,
        query=wire.ListAPIKeys,
        answer=Listed[wire.APIKey],
        is_versionless=True,
    ),
    operation("GET", _KEY, get_api_key, answer=wire.APIKey, is_versionless=True),
    operation("PATCH", _KEY, update_api_key, body=wire.UpdateAPIKey, answer=wire.APIKey, is_versionless=True),
    operation("DELETE", _KEY, delete_api_key, answer=Deleted, is_versionless=True),
    operation("GET", f"{_KEY}/secret", get_api_key_secret, answer=wire.APIKeySecret, is_versionless=True),
    operation(
        "POST",
        f"{_KEY}/revoke",
        revoke_api_key,
        body=wire.RevokeAPIKey,
        answer=wire.APIKey,
        is_versionless=True,
    ),
    operation(
        "POST",
        f"{_KEYS}/verify",
        verify_api_key,
        body=wire.VerifyAPIKey,
        answer=wire.APIKey,
        is_versionless=True,
    ),
)

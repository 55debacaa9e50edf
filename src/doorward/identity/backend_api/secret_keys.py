"""The instance's secret keys, for the operator of the machine alone: whoever found one must not be able to make more."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire.shapes import Body, Listed, NoBody, NoQuery
from doorward.identity.errors import Refused, not_found
from doorward.identity.secret_keys import SecretKey


class ShownSecretKey(msgspec.Struct, kw_only=True):
    """Times in milliseconds; the key itself is shown where it is made, and never again."""

    object: str = "secret_key"
    id: str
    name: str
    revoked: bool
    created_at: int
    revoked_at: int | None


class MadeSecretKey(ShownSecretKey, kw_only=True):
    secret: str


class NewSecretKey(Body, frozen=True, kw_only=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


async def list_secret_keys(call: Call[NoQuery, NoBody]) -> Listed[ShownSecretKey]:
    """Every secret key, revoked ones among them."""
    keys = [ShownSecretKey(**_members(key)) for key in await call.identity.secret_keys.list()]
    return Listed(keys, len(keys))


async def create_secret_key(call: Call[NoQuery, NewSecretKey]) -> MadeSecretKey:
    """Make a secret key; the answer alone holds it."""
    made = await call.identity.secret_keys.make(call.body.name, actor=call.caller.id)
    return MadeSecretKey(**_members(made.key), secret=made.secret)


async def revoke_secret_key(call: Call[NoQuery, NoBody]) -> ShownSecretKey:
    """End a secret key at once; again does nothing."""
    key_id = call.path["secret_key_id"]
    await call.identity.secret_keys.revoke(key_id, actor=call.caller.id)
    for key in await call.identity.secret_keys.list():
        if key.id == key_id:
            return ShownSecretKey(**_members(key))
    raise Refused(not_found("Secret key not found"))


def _members(key: SecretKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "revoked": key.revoked_at is not None,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


OPERATIONS = (
    operation("GET", "/secret_keys", list_secret_keys, answer=Listed[ShownSecretKey]),
    operation("POST", "/secret_keys", create_secret_key, body=NewSecretKey, answer=MadeSecretKey),
    operation("POST", "/secret_keys/{secret_key_id}/revoke", revoke_secret_key, answer=ShownSecretKey),
)

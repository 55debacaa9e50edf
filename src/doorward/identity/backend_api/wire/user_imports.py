"""Users that come from elsewhere, many at once."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from doorward.identity.accounts.imports import MAX_BATCH
from doorward.identity.answers import ErrorItem
from doorward.identity.backend_api.wire.shapes import Body
from doorward.identity.backend_api.wire.users import CreateUser

UserId = Annotated[str, msgspec.Meta(pattern=r"^user_[0-9A-Za-z]{20,48}$")]


class ImportUser(CreateUser, frozen=True, kw_only=True):
    """A user of another system. With `id` they keep the one they have: what applications stored of them goes on to be right."""

    id: UserId | None = None

    def __repr__(self) -> str:
        return "ImportUser(…)"


class ImportUsers(Body, frozen=True, kw_only=True):
    """With `dry_run` every outcome is told, and nobody is made."""

    users: Annotated[tuple[ImportUser, ...], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]
    dry_run: bool = False

    def __repr__(self) -> str:
        return f"ImportUsers({len(self.users)} users)"


class ImportedUser(msgspec.Struct):
    """`errors` are told where the outcome is `refused`."""

    outcome: Literal["created", "exists", "refused"]
    user_id: str | None
    errors: list[ErrorItem] = []


class ImportedUsers(msgspec.Struct):
    """In the order of the request."""

    data: list[ImportedUser]
    object: str = "imported_users"


class WantedHashes(Body, frozen=True, kw_only=True):
    user_ids: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class PasswordHash(msgspec.Struct):
    """As `password_hasher` and `password_digest` of a new user."""

    user_id: str
    password_hasher: str
    password_digest: str

    def __repr__(self) -> str:
        return f"PasswordHash({self.user_id})"

"""Users, as back ends alone see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from doorward.identity.resources import users as shared

if TYPE_CHECKING:
    from doorward.identity.accounts.store import Account
    from doorward.identity.resources.users import UserViews


class User(shared.User, kw_only=True):
    """What a browser sees of a user, and what only back ends do."""

    private_metadata: msgspec.Raw
    bypass_client_trust: bool
    deprovisioned: bool = False
    scim: None = None


def user(views: UserViews, account: Account, now: int, last_active_at: int | None = None) -> User:
    """`views` shows what browsers see; memberships have lists of their own."""
    return User(
        **msgspec.structs.asdict(views.user(account, now, last_active_at, memberships=None)),
        private_metadata=msgspec.Raw(account.user.private_metadata.encode()),
        bypass_client_trust=account.user.bypass_client_trust,
    )


class DeletedUser(msgspec.Struct, omit_defaults=True):
    id: str
    object: Literal["user"]
    deleted: Literal[True]
    external_id: str | None = None

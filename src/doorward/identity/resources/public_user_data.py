"""What other people may see of somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from doorward.identity.accounts.store import Account
    from doorward.identity.resources.images import Images


class PublicUserData(msgspec.Struct):
    first_name: str | None
    last_name: str | None
    image_url: str
    profile_image_url: str
    identifier: str
    user_id: str
    banned: bool
    has_image: bool
    username: str | None
    deprovisioned: bool = False


def public_user_data(account: Account, images: Images) -> PublicUserData:
    user, image_url = account.user, images.url(account.user.image_id)
    return PublicUserData(
        first_name=user.first_name,
        last_name=user.last_name,
        image_url=image_url,
        profile_image_url=image_url,
        has_image=user.image_id is not None,
        username=user.username,
        identifier=account.primary_email.address,
        user_id=user.id,
        banned=user.is_banned,
    )

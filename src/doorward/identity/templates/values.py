"""What shortcodes may read of a user, their session and their organization. Private data is not among it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from doorward.identity.accounts.store import Account

if TYPE_CHECKING:
    from doorward.identity.organizations.details import Membership


_ORGANIZATION = (
    "org.id",
    "org.slug",
    "org.name",
    "org.role",
    "org.public_metadata",
    "org_membership.public_metadata",
)


def values_of(
    account: Account,
    *,
    image_url: str,
    actor: str | None = None,
    membership: Membership | None = None,
    organizations: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """By shortcode. `actor` is the JSON of who acts as the user; `organizations` maps ids to roles. Times are whole seconds."""
    user, email = account.user, account.primary_email
    names = [name for name in (user.first_name, user.last_name) if name]
    phone = next((each for each in account.phone_numbers if each.id == user.primary_phone_number_id), None)
    return {
        "user.id": user.id,
        "user.first_name": user.first_name,
        "user.last_name": user.last_name,
        "user.full_name": " ".join(names) or None,
        "user.username": user.username,
        "user.external_id": user.external_id,
        "user.image_url": image_url,
        "user.primary_email_address": email.address,
        "user.email_verified": email.verified_at is not None,
        "user.primary_phone_number": None if phone is None else phone.number,
        "user.phone_number_verified": phone is not None and phone.verified_at is not None,
        "user.two_factor_enabled": False,
        "user.created_at": user.created_at // 1000,
        "user.updated_at": user.updated_at // 1000,
        "user.public_metadata": msgspec.json.decode(user.public_metadata.encode()),
        "user.unsafe_metadata": msgspec.json.decode(user.unsafe_metadata.encode()),
        "user.organizations": dict(organizations or {}),
        **_of_organization(membership),
        "session.actor": None if actor is None else msgspec.json.decode(actor.encode()),
        "session.reverification_id": None,
    }


def _of_organization(membership: Membership | None) -> dict[str, object]:
    if membership is None:
        return dict.fromkeys(_ORGANIZATION)
    organization = membership.organization
    values: tuple[object, ...] = (
        organization.id,
        organization.slug,
        organization.name,
        membership.role.record.key,
        msgspec.json.decode(organization.public_metadata.encode()),
        msgspec.json.decode(membership.record.public_metadata.encode()),
    )
    return dict(zip(_ORGANIZATION, values, strict=True))

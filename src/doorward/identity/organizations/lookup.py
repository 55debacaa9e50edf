"""Finding what a change is about, inside its transaction, and refusing where it is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from doorward.identity.accounts import metadata
from doorward.identity.errors import (
    FORM_RESOURCE_NOT_FOUND,
    MISSING_ORGANIZATION_PERMISSION,
    ORGANIZATION_NOT_ENABLED,
    ORGANIZATION_NOT_FOUND_OR_UNAUTHORIZED,
    Refused,
    not_found,
)
from doorward.identity.instance import InstanceSettings
from doorward.identity.instance import store as instance_rows
from doorward.identity.invitations.store import InvitationFilter
from doorward.identity.organizations import role_store, rules, store
from doorward.identity.organizations.domain_store import DomainFilter
from doorward.identity.organizations.role_store import Role
from doorward.identity.organizations.store import MembershipFilter, OrganizationRecord
from doorward.store import Tx

Asked = TypeVar("Asked", DomainFilter, InvitationFilter, MembershipFilter)


def require_enabled(tx: Tx) -> InstanceSettings:
    """Raises Refused (403) where the instance has no organizations."""
    settings = instance_rows.settings(tx)
    if not settings.organizations.enabled:
        raise Refused(ORGANIZATION_NOT_ENABLED)
    return settings


def require(tx: Tx, id_or_slug: str) -> OrganizationRecord:
    """Raises Refused (403, 404)."""
    require_enabled(tx)
    organization = store.find(tx, id_or_slug)
    if organization is None:
        raise Refused(not_found(f"No organization was found with id or slug {id_or_slug}"))
    return organization


def require_for(
    tx: Tx, id_or_slug: str, actor: str, permission: str | None, *, as_member: bool
) -> OrganizationRecord:
    """The organization, for a back end, or with `as_member` for a person whose role has the permission.

    Raises Refused (403, 404). Whoever does not belong to an organization is told nothing that one that never was would not
    have told them.
    """
    if not as_member:
        return require(tx, id_or_slug)
    require_enabled(tx)
    organization = store.find(tx, id_or_slug)
    if organization is None:
        raise Refused(ORGANIZATION_NOT_FOUND_OR_UNAUTHORIZED)
    require_permission(tx, organization.id, actor, permission)
    return organization


def narrowed(tx: Tx, wanted: Asked, member: str | None, permission: str) -> Asked:
    """What is asked of an organization, with its id in the place of its slug; of every organization as it is.

    `member` is the person who asks, who must be one who may. Raises Refused (403, 404).
    """
    if wanted.organization_id is None:
        return wanted
    organization = require_for(
        tx, wanted.organization_id, member or "", permission, as_member=member is not None
    )
    return replace(wanted, organization_id=organization.id)


def require_permission(tx: Tx, organization_id: str, user_id: str, permission: str | None) -> Role:
    """The one check that lets a person do something in an organization; None asks for nothing but membership.

    Raises Refused: 404 for somebody who does not belong to it, 403 for a role that does not let them.
    """
    membership = store.find_membership(tx, organization_id, user_id)
    role = None if membership is None else role_store.find_role(tx, membership.role_id)
    if role is None:
        raise Refused(ORGANIZATION_NOT_FOUND_OR_UNAUTHORIZED)
    if permission is not None and permission not in role.keys:
        raise Refused(MISSING_ORGANIZATION_PERMISSION.at(permission=permission))
    return role


def changed_metadata(param: str, stored: str, change: Mapping[str, Any] | None, *, merges: bool) -> str:
    """The JSON text to store."""
    if change is None:
        return stored
    if not merges:
        return metadata.as_text(param, change)
    return metadata.as_text(param, metadata.merged(msgspec.json.decode(stored.encode()), change))


def require_role(tx: Tx, key: str) -> Role:
    """By its key, prefix and all. Raises Refused (422)."""
    role = role_store.find_role(tx, key) if rules.is_role_key(key) else None
    if role is None:
        raise Refused(
            FORM_RESOURCE_NOT_FOUND.at("role", long_message=f"There is no role {key!r}; try org:admin.")
        )
    return role

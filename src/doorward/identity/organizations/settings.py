"""What organizations may be and do, as the instance's settings say. Changed through `Instance.change_by`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from doorward.identity.errors import (
    FORM_RESOURCE_NOT_FOUND,
    ORGANIZATION_MISSING_CREATOR_ROLE_PERMISSIONS,
    Refused,
)
from doorward.identity.instance import InstanceSettings
from doorward.identity.organizations import role_store, rules
from doorward.store import Tx


def edit_of(given: Mapping[str, object]) -> Callable[[Tx, InstanceSettings], InstanceSettings]:
    """Of members of `OrganizationSettings`; the two roles are given as `creator_role_id` and `domains_default_role_id`, by
    id or key. The edit raises Refused (422) for a role that is not there, or that could not manage an organization."""

    def edit(tx: Tx, before: InstanceSettings) -> InstanceSettings:
        changes = dict(given)
        for name in ("creator_role", "domains_default_role"):
            role_id = changes.pop(f"{name}_id", None)
            if role_id is None:
                continue
            role = role_store.find_role(tx, str(role_id))
            if role is None:
                raise Refused(FORM_RESOURCE_NOT_FOUND.at(f"{name}_id"))
            if name == "creator_role" and not rules.is_elevated(role.keys):
                raise Refused(ORGANIZATION_MISSING_CREATOR_ROLE_PERMISSIONS)
            changes[name] = role.record.key
        return replace(before, organizations=replace(before.organizations, **changes))

    return edit

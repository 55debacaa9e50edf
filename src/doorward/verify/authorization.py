"""`has()`: whether a session may do something, by role, permission, feature, plan or a fresh verification.

Everything asked for must hold, and at least one thing must be asked for; what the session does not say is
never granted. Pure: it reads the token's claims and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec

from doorward.verify.organization import Organization, features_by_scope

Level = Literal["first_factor", "second_factor", "multi_factor"]


class Reverification(msgspec.Struct, frozen=True):
    """A factor of `level` was verified less than `after_minutes` ago."""

    level: Level
    after_minutes: float


REVERIFICATIONS: Mapping[str, Reverification] = {
    "strict_mfa": Reverification("multi_factor", 10),
    "strict": Reverification("second_factor", 10),
    "moderate": Reverification("second_factor", 60),
    "lax": Reverification("second_factor", 1440),
}


def is_authorized(
    claims: Mapping[str, Any],
    organization: Organization,
    *,
    role: str | None = None,
    permission: str | None = None,
    feature: str | None = None,
    plan: str | None = None,
    reverification: str | Reverification | None = None,
) -> bool:
    """Whether everything asked for holds. Roles and permissions may leave out `org:`; a feature or plan may
    name its scope (`org:pro`, `user:beta`); a reverification is a preset's name or a `Reverification`."""
    asked = []
    if role is not None:
        asked.append(_has_role(organization, role))
    if permission is not None:
        asked.append(_has_permission(organization, permission))
    if feature is not None:
        asked.append(_is_listed(claims.get("fea"), feature))
    if plan is not None:
        asked.append(_is_listed(claims.get("pla"), plan))
    if reverification is not None:
        asked.append(_is_fresh(claims.get("fva"), reverification))
    return bool(asked) and all(asked)


def _has_role(organization: Organization, role: str) -> bool:
    return bool(organization.id and organization.role) and _of_org(organization.role or "") == _of_org(role)


def _has_permission(organization: Organization, permission: str) -> bool:
    return bool(organization.id) and _of_org(permission) in (organization.permissions or ())


def _of_org(name: str) -> str:
    while name.startswith("org:"):
        name = name[4:]
    return f"org:{name}"


def _is_listed(claim: Any, asked: str) -> bool:
    listed = features_by_scope(claim)
    if listed is None:
        return False
    of_org, of_user = listed
    scope, colon, name = asked.partition(":")
    name = name.partition(":")[0]
    if not colon:
        return asked in of_org or asked in of_user
    if scope in ("o", "org", "organization"):
        return (name or scope) in of_org
    return scope in ("u", "user") and (name or scope) in of_user


def _is_fresh(ages: Any, asked: str | Reverification) -> bool:
    """`ages`: minutes since the first and the second factor were verified; -1 stands for never, or none."""
    wanted = REVERIFICATIONS.get(asked) if isinstance(asked, str) else asked
    if wanted is None or wanted.level not in get_args(Level) or not wanted.after_minutes > 0:
        return False
    if not (isinstance(ages, list) and len(ages) == 2 and all(_is_age(age) for age in ages)):
        return False
    first, second = ages
    first_is_fresh = bool(first != -1 and wanted.after_minutes > first)
    second_is_fresh = bool(second != -1 and wanted.after_minutes > second)
    if wanted.level == "first_factor" or second == -1:  # nobody can show a second factor they do not have
        return first_is_fresh
    if wanted.level == "second_factor":
        return second_is_fresh
    return wanted.level == "multi_factor" and first_is_fresh and second_is_fresh


def _is_age(age: Any) -> bool:
    return type(age) in (int, float) and (age == -1 or age >= 0)

"""The organization a session token speaks of, unfolded from either form of its claims.

v1 spells everything out (`org_id`, `org_role`, `org_permissions`). v2 (`v: 2`) folds it into `o`, with the
permissions as bit masks: `per` lists permissions, `fpm` one decimal mask for each feature of `fea` that is the
organization's. Positions count organization features only, as JavaScript does; the issuer lists those first,
so that readers who count all agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_ORG_SCOPES, _USER_SCOPES = ("o", "ou", "uo"), ("u", "ou", "uo")
_MAX_MASK_DIGITS = (
    400  # more permissions than any organization has; beyond it a number is an attack on our CPU
)


class Organization(msgspec.Struct, frozen=True):
    """What a session says about the active organization; all None without one."""

    id: str | None = None
    role: str | None = None
    slug: str | None = None
    permissions: tuple[str, ...] | None = None


def organization_of(claims: Mapping[str, Any]) -> Organization:
    if claims.get("v") != 2:
        permissions = claims.get("org_permissions")
        return Organization(
            _text(claims.get("org_id")),
            _text(claims.get("org_role")),
            _text(claims.get("org_slug")),
            tuple(permissions) if isinstance(permissions, list) else None,
        )
    folded = claims.get("o")
    if not isinstance(folded, dict) or not folded:
        return Organization()
    role = _text(folded.get("rol"))
    features = features_by_scope(claims.get("fea"))
    return Organization(
        _text(folded.get("id")),
        f"org:{role}" if role else None,
        _text(folded.get("slg")),
        _unfold(features[0] if features else (), folded.get("per"), folded.get("fpm")),
    )


def features_by_scope(claim: Any) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The organization's and the user's features (or plans) of a claim such as "o:reports,u:beta".

    None when an element has no scope: what cannot be read grants nothing.
    """
    if not isinstance(claim, str) or not claim:
        return (), ()
    parts = [part.strip().partition(":") for part in claim.split(",")]
    if not all(colon for _, colon, _ in parts):
        return None
    return (
        tuple(name for scope, _, name in parts if scope in _ORG_SCOPES),
        tuple(name for scope, _, name in parts if scope in _USER_SCOPES),
    )


def _unfold(features: tuple[str, ...], per: Any, fpm: Any) -> tuple[str, ...]:
    if not (isinstance(per, str) and isinstance(fpm, str) and per and fpm):
        return ()
    permissions = [name.strip() for name in per.split(",")]
    masks = [_mask(text.strip()) for text in fpm.split(",")]
    return tuple(
        f"org:{feature}:{permission}"
        for feature, mask in zip(features, masks, strict=False)
        for bit, permission in enumerate(permissions)
        if mask >> bit & 1
    )


def _mask(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_MASK_DIGITS else 0


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None

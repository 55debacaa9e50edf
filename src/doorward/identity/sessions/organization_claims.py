"""The active organization folded into a session token's claims, version 2: `o` and `fea`. Pure.

    organization  id, slug, role, and permissions `org:reports:read`
    claims        o = {id, slg, rol, per: "read,write", fpm: "1,3"}, fea = "o:reports,o:teams,u:beta"

`per` lists permissions, a bit each from the lowest; `fpm` is one decimal mask per feature of the organization. Readers
disagree on what they count in `fea`: organization features stand first, so that all of them agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

_PREFIX = "org:"
_SYSTEM = "sys_"


class OrganizationClaim(msgspec.Struct, frozen=True, omit_defaults=True):
    """`rol` is without its prefix; `per` and `fpm` are left out together."""

    id: str
    rol: str
    slg: str | None = None
    per: str | None = None
    fpm: str | None = None


class FoldedOrganization(msgspec.Struct, frozen=True):
    """`fea` is None where there are no features at all."""

    o: OrganizationClaim
    fea: str | None


def fold_organization(
    organization_id: str,
    slug: str | None,
    role: str,
    permissions: Iterable[str],
    *,
    features: Sequence[str] = (),
    user_features: Sequence[str] = (),
) -> FoldedOrganization:
    """`permissions` as `org:<feature>:<permission>`; system ones, and what has another form, are left out.

    `features` of the organization are told even where no permission belongs to them.
    """
    granted = sorted(filter(None, map(_parted, permissions)))
    names = list(dict.fromkeys([*features, *(feature for feature, _ in granted)]))
    bits = {name: bit for bit, name in enumerate(sorted({permission for _, permission in granted}))}
    masks = dict.fromkeys(names, 0)
    for feature, permission in granted:
        masks[feature] |= 1 << bits[permission]
    listed = [*(f"o:{name}" for name in names), *(f"u:{name}" for name in user_features)]
    claim = OrganizationClaim(
        id=organization_id,
        rol=role.removeprefix(_PREFIX),
        slg=slug,
        per=",".join(bits) if bits else None,
        fpm=",".join(str(masks[name]) for name in names) if bits else None,
    )
    return FoldedOrganization(claim, ",".join(listed) or None)


def _parted(permission: str) -> tuple[str, str] | None:
    scope, _, rest = permission.partition(":")
    feature, _, name = rest.partition(":")
    if scope != "org" or feature.startswith(_SYSTEM) or not name or not feature:
        return None
    if any(sign in rest.partition(":")[2] or sign in feature for sign in ",:"):
        return None
    return feature, name

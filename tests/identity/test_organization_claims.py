"""Folding an organization into a session token's claims, and every reader's unfolding of it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.identity.sessions.organization_claims import fold_organization
from doorward.verify.organization import Organization, organization_of
from tests.sdk_clients.installed import javascript_sdks

names = st.text(alphabet="abcdefghij_", min_size=1, max_size=8).filter(
    lambda name: not name.startswith("sys_")
)
PERMISSIONS = ["org:reports:read", "org:teams:read", "org:teams:manage", "org:sys_memberships:read"]


def claims_of(*permissions: str, **features: Any) -> dict[str, Any]:
    folded = fold_organization("org_1", "acme", "org:admin", permissions, **features)
    claims: dict[str, Any] = msgspec.to_builtins(folded)
    return {"v": 2, **{name: value for name, value in claims.items() if value is not None}}


@pytest.mark.conformance("clerk-backend", 168)
def test_organization_features_stand_before_those_of_users() -> None:
    claims = claims_of(*PERMISSIONS, features=["dash"], user_features=["beta"])
    assert claims["fea"] == "o:dash,o:reports,o:teams,u:beta"
    assert claims["o"] == {
        "id": "org_1",
        "slg": "acme",
        "rol": "admin",
        "per": "manage,read",
        "fpm": "0,2,3",
    }


@pytest.mark.conformance("clerk-backend", 167)
def test_our_reader_unfolds_role_and_permissions() -> None:
    assert organization_of(claims_of(*PERMISSIONS, user_features=["beta"])) == Organization(
        "org_1", "org:admin", "acme", ("org:reports:read", "org:teams:manage", "org:teams:read")
    )


@pytest.mark.conformance("clerk-backend-traps", 18)
@pytest.mark.conformance("clerk-backend", 167)
@pytest.mark.conformance("clerk-backend", 168)
def test_the_javascript_sdk_unfolds_the_same() -> None:
    claims = claims_of(*PERMISSIONS, features=["dash"], user_features=["beta"])
    claims |= {"sub": "user_1", "sid": "sess_1", "sts": "active", "fva": [0, -1]}
    script = (
        "import { signedInAuthObject } from '@clerk/backend/internal';"
        "const auth = signedInAuthObject({}, 'token', JSON.parse(process.argv[1]));"
        "console.log(JSON.stringify([auth.orgId, auth.orgRole, auth.orgSlug, auth.orgPermissions,"
        " auth.has({permission: 'org:teams:manage'}), auth.has({permission: 'org:reports:manage'}),"
        " auth.has({feature: 'o:dash'}), auth.has({feature: 'u:beta'})]));"
    )
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, json.dumps(claims)],
        cwd=javascript_sdks(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    permissions = ["org:reports:read", "org:teams:manage", "org:teams:read"]
    found = json.loads(done.stdout)
    assert [*found[:3], sorted(found[3])] == ["org_1", "org:admin", "acme", permissions]
    assert found[4:] == [True, False, True, True]


def test_without_permissions_nothing_is_said_of_them() -> None:
    assert claims_of() == {"v": 2, "o": {"id": "org_1", "slg": "acme", "rol": "admin"}}
    assert claims_of("org:sys_profile:manage", "junk", "org:a:b:c", "org:a,b:c")["o"].keys() == {
        "id",
        "slg",
        "rol",
    }


@given(
    st.sets(st.tuples(names, names), max_size=30), st.lists(names, unique=True, max_size=5),
    st.lists(names, unique=True, max_size=5),
)  # fmt: skip
def test_what_is_folded_unfolds_to_the_same(
    granted: set[tuple[str, str]], features: list[str], user_features: list[str]
) -> None:
    permissions = [f"org:{feature}:{name}" for feature, name in granted]
    claims = claims_of(*permissions, features=features, user_features=user_features)
    assert sorted(organization_of(claims).permissions or ()) == sorted(permissions)

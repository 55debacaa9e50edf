"""Who may do what: every combination of door, role, setting, scope and action."""

from itertools import product

import pytest

from doorward.environment.access import MACHINE, Action, Actor, NotAllowed, refusal, require
from doorward.environment.access.rules import granted_scopes
from doorward.t3_connect.scopes import ADMINISTRATIVE_SCOPES, STANDARD_SCOPES

DOORS = ("machine", "loopback", "tunnel", "elsewhere")
ROLES = ("standard", "administrator")
REMOTE = {Action.SEE_DEVICES, Action.APPROVE_STANDARD, Action.REJECT, Action.REVOKE}


def expected(door: str, role: str, is_on: bool, has_scope: bool, action: Action) -> str | None:
    if door == "machine":
        return None
    if not has_scope:
        return "scope_missing"
    if door == "loopback":
        return None
    if door == "tunnel" and role == "administrator" and is_on and action in REMOTE:
        return None
    return "not_from_here"


@pytest.mark.parametrize("action", Action, ids=lambda action: action.name)
def test_the_table_is_exactly_this(action: Action) -> None:
    for door, role, is_on, has_scope in product(DOORS, ROLES, (False, True), (False, True)):
        scopes = (
            frozenset(ADMINISTRATIVE_SCOPES)
            if has_scope
            else frozenset(ADMINISTRATIVE_SCOPES) - {action.scope}
        )
        actor = Actor(door=door, name="x", scopes=scopes, role=role, is_remote_admin_on=is_on)  # type: ignore[arg-type]
        assert refusal(actor, action) == expected(door, role, is_on, has_scope, action), (door, role, is_on)


def test_nobody_outside_may_ever_grant_administrator_trust_the_account_or_unlink() -> None:
    for role, is_on in product(ROLES, (False, True)):
        actor = Actor(
            door="tunnel",
            name="x",
            scopes=frozenset(ADMINISTRATIVE_SCOPES),
            role=role,  # type: ignore[arg-type]
            is_remote_admin_on=is_on,
        )
        for action in (
            Action.APPROVE_ADMINISTRATOR,
            Action.TRUST_ACCOUNT,
            Action.UNLINK,
            Action.LINK,
            Action.PAIR,
        ):
            with pytest.raises(NotAllowed):
                require(actor, action)


def test_a_door_nobody_has_heard_of_leads_nowhere() -> None:
    actor = Actor(door="window", name="x", scopes=frozenset(ADMINISTRATIVE_SCOPES))  # type: ignore[arg-type]
    assert {refusal(actor, action) for action in Action} == {"not_from_here"}


def test_the_machine_itself_may_do_everything() -> None:
    assert {refusal(MACHINE, action) for action in Action} == {None}


@pytest.mark.parametrize(
    ("role", "is_on", "is_wide"),
    [(r, o, r == "administrator" and o) for r, o in product(ROLES, (False, True))],
)
def test_a_device_gets_its_roles_scopes_and_no_more(role: str, is_on: bool, is_wide: bool) -> None:
    granted = granted_scopes(
        role,  # type: ignore[arg-type]
        is_remote_admin_on=is_on,
        standard=STANDARD_SCOPES,
        administrative=ADMINISTRATIVE_SCOPES,
    )
    assert granted == (ADMINISTRATIVE_SCOPES if is_wide else STANDARD_SCOPES)

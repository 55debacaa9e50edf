"""The table of who may do what. Pure: an actor, an action, and an answer.

Four doors lead in, and the door is a fact of which listener took the request, never of an address:

    machine    the control socket and the CLI: whoever owns the files. Everything.
    loopback   the page on this machine, with a session from a one-time link. Everything its scopes allow.
    tunnel     everything from outside. A device approved as administrator may do four things, and only
               where the owner turned remote administration on; everybody else nothing at all here.
    elsewhere  the machine's own listener under another name, or asked by a page of another origin: a name
               that was rebound, a network address, a foreign site. Nothing of this table.

An account alone has no door: being signed in grants no action of this table.
"""

from enum import Enum
from typing import Literal

import msgspec

Door = Literal["machine", "loopback", "tunnel", "elsewhere"]
Role = Literal["standard", "administrator"]


class Action(Enum):
    """What somebody may want to do; the value is the scope (connect-environment §1.6) it needs."""

    def __init__(self, label: str, scope: str) -> None:
        self.label = label
        self.scope = scope

    SEE_DEVICES = ("see devices", "access:read")
    APPROVE_STANDARD = ("approve a device", "access:write")
    APPROVE_ADMINISTRATOR = ("approve a device as administrator", "access:write")
    REJECT = ("reject a device", "access:write")
    REVOKE = ("revoke a device", "access:write")
    REQUIRE_APPROVAL = ("require approval of devices", "access:write")
    TRUST_ACCOUNT = ("let every device of the account in", "access:write")
    SEE_PAIRING = ("see pairing links", "access:read")
    PAIR = ("create or revoke pairing links", "access:write")
    SEE_SESSIONS = ("see sessions", "access:read")
    END_SESSIONS = ("end sessions", "access:write")
    SEE_LINK = ("see the link to the relay", "relay:read")
    LINK = ("link to the relay", "relay:write")
    UNLINK = ("unlink from the relay", "relay:write")


#: What an administrator device may do from outside. Granting administrator, switching to `account`
#: and unlinking are not here and never will be: they need the machine itself.
REMOTE_ADMINISTRATION = frozenset({Action.SEE_DEVICES, Action.APPROVE_STANDARD, Action.REJECT, Action.REVOKE})


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `name` and `address` are for the audit trail: a session id or `cli`, and where it came from."""

    door: Door
    name: str
    address: str = ""
    scopes: frozenset[str] = frozenset()
    role: Role = "standard"
    is_remote_admin_on: bool = False


#: Why not: a scope is missing (the client can ask for it), or this door never allows it.
Refusal = Literal["scope_missing", "not_from_here"]

#: The machine itself: the CLI, directly or through the control socket.
MACHINE = Actor(door="machine", name="cli")


class NotAllowed(Exception):
    """The table says no. `action` is what was wanted, `reason` why not."""

    code = "not_allowed"

    def __init__(self, action: Action, reason: Refusal) -> None:
        super().__init__(f"This session may not {action.label} ({reason}).")
        self.action = action
        self.reason = reason


def refusal(actor: Actor, action: Action) -> Refusal | None:
    """None when `actor` may do `action`; otherwise why not. Unknown doors get nothing (fail closed)."""
    if actor.door == "machine":
        return None
    if action.scope not in actor.scopes:
        return "scope_missing"
    if actor.door == "loopback":
        return None
    if (
        actor.door == "tunnel"
        and actor.role == "administrator"
        and actor.is_remote_admin_on
        and action in REMOTE_ADMINISTRATION
    ):
        return None
    return "not_from_here"


def require(actor: Actor, action: Action) -> None:
    """Raises NotAllowed unless `actor` may do `action`."""
    reason = refusal(actor, action)
    if reason is not None:
        raise NotAllowed(action, reason)


def granted_scopes(
    role: Role, *, is_remote_admin_on: bool, standard: tuple[str, ...], administrative: tuple[str, ...]
) -> tuple[str, ...]:
    """The scopes a credential minted for an approved device carries: its role's, and no more."""
    return administrative if role == "administrator" and is_remote_admin_on else standard

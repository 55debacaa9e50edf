"""Many users at once: `/users/import`, and for the operator of the machine alone `/users/password_hashes`. Doorward's own."""

from __future__ import annotations

from msgspec.structs import replace

from doorward.identity.accounts.imports import Known, Made, NotMade, Outcome
from doorward.identity.accounts.new_accounts import NewUser
from doorward.identity.answers import error_item
from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.users import new_user
from doorward.identity.backend_api.wire import user_imports as wire
from doorward.identity.backend_api.wire.shapes import NoQuery
from doorward.identity.errors import Refused


async def import_users(call: Call[NoQuery, wire.ImportUsers]) -> wire.ImportedUsers:
    """Take over up to 500 users of another system; whoever is here already stays as they are."""
    outcomes = await call.identity.imports.take_over(
        [_wish(user) for user in call.body.users], is_rehearsal=call.body.dry_run, actor=call.caller.id
    )
    return wire.ImportedUsers([_shown(outcome) for outcome in outcomes])


async def list_password_hashes(call: Call[NoQuery, wire.WantedHashes]) -> list[wire.PasswordHash]:
    """What users' passwords were hashed to, for an export."""
    found = await call.identity.imports.password_hashes(call.body.user_ids, actor=call.caller.id)
    return [wire.PasswordHash(one.user_id, one.hasher, one.digest) for one in found]


def _wish(body: wire.ImportUser) -> NewUser | NotMade:
    try:
        return replace(new_user(body), id=body.id)
    except Refused as refused:
        return NotMade(refused.errors)


def _shown(outcome: Outcome) -> wire.ImportedUser:
    match outcome:
        case Made(user_id):
            return wire.ImportedUser("created", user_id)
        case Known(user_id):
            return wire.ImportedUser("exists", user_id)
        case NotMade(problems):
            return wire.ImportedUser("refused", None, [error_item(problem) for problem in problems])


OPERATIONS = (
    operation("POST", "/users/import", import_users, body=wire.ImportUsers, answer=wire.ImportedUsers),
)
#: A secret key that leaks must not take everybody's password hash with it.
LOCAL_OPERATIONS = (
    operation(
        "POST",
        "/users/password_hashes",
        list_password_hashes,
        body=wire.WantedHashes,
        answer=list[wire.PasswordHash],
    ),
)

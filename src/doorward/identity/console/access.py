"""Who may see the console: the one check."""

from typing import TYPE_CHECKING

from starlette.requests import Request

from doorward.identity.accounts.administrators import can_administer
from doorward.identity.accounts.store import UserRecord
from doorward.identity.pages.site import SignInNeeded
from doorward.identity.sessions.store import SessionRecord

if TYPE_CHECKING:
    from doorward.identity.services import Identity
    from doorward.identity.sessions.signed_in import SignedIn


class NotAdministrator(Exception):
    """Somebody is signed in, but not as an administrator: for them there is no console."""


def may_administer(user: UserRecord, session: SessionRecord, now: int) -> bool:
    """An administrator in person. A session of somebody who acts as an administrator is not one: whoever may act as
    users in support of them has not been made an administrator thereby."""
    return can_administer(user, now) and session.actor is None


async def administrator_of(identity: "Identity", request: Request) -> "SignedIn":
    """The administrator who asks. Looked up for each request, so that whoever is withdrawn, banned or signed out is outside
    with the next one. Raises SignInNeeded, NotAdministrator, and Refused (400) for an Origin that is not ours."""
    signed_in = await identity.sessions.current(await identity.visits.of(request))
    if signed_in is None:
        raise SignInNeeded
    if not may_administer(signed_in.user, signed_in.session, identity.clock()):
        raise NotAdministrator
    return signed_in

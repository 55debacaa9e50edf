"""Sessions, what they run on, and their tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from doorward.identity.resources.public_user_data import PublicUserData, public_user_data
from doorward.identity.resources.users import User, UserViews
from doorward.identity.sessions import rules as session_rules

if TYPE_CHECKING:
    from doorward.identity.organizations.details import Membership
    from doorward.identity.sessions.signed_in import SignedIn
    from doorward.identity.sessions.store import SessionRecord

_BROWSERS = re.compile(r"(Edg|OPR|Firefox|Chrome|Version)/(\d+)")
_BROWSER_NAMES = {"Edg": "Edge", "OPR": "Opera", "Version": "Safari"}
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Macintosh", "Macintosh"),
    ("Windows", "Windows"),
    ("Linux", "Linux"),
)


class Token(msgspec.Struct, tag_field="object", tag="token"):
    jwt: str


class SessionActivity(msgspec.Struct):
    id: str
    device_type: str | None
    is_mobile: bool
    browser_name: str | None
    browser_version: str | None
    ip_address: str
    object: str = "session_activity"
    city: str = ""
    country: str = ""


class Session(msgspec.Struct):
    id: str
    status: str
    expire_at: int
    abandon_at: int
    last_active_at: int
    factor_verification_age: tuple[int, int]
    created_at: int
    updated_at: int
    user: User | None
    public_user_data: PublicUserData | None
    last_active_token: Token | None
    actor: msgspec.Raw | None
    latest_activity: SessionActivity | None = None
    object: str = "session"
    last_active_organization_id: str | None = None
    tasks: list[str] = []


class SessionViews(UserViews):
    def session(
        self, signed_in: SignedIn, now: int, jwt: str | None, memberships: Sequence[Membership] = ()
    ) -> Session:
        """`memberships` are all of the user: Clerk's SDK finds the active organization among them."""
        session, account, membership = signed_in.session, signed_in.account, signed_in.membership
        return Session(
            id=session.id,
            status=session_rules.status_of(session, now),
            expire_at=session.expire_at,
            abandon_at=session.abandon_at,
            last_active_at=session.last_active_at,
            factor_verification_age=(session_rules.factor_age_minutes(session, now), -1),
            created_at=session.created_at,
            updated_at=session.updated_at,
            user=self.user(account, now, session.last_active_at, memberships),
            public_user_data=public_user_data(account, self.images),
            last_active_token=None if jwt is None else Token(jwt),
            actor=_actor(session),
            last_active_organization_id=None if membership is None else membership.organization.id,
        )

    def bare_session(self, session: SessionRecord, now: int) -> Session:
        """A session in the list of one's devices: no user, no token, but what it runs on."""
        return Session(
            id=session.id,
            status=session_rules.status_of(session, now),
            expire_at=session.expire_at,
            abandon_at=session.abandon_at,
            last_active_at=session.last_active_at,
            factor_verification_age=(session_rules.factor_age_minutes(session, now), -1),
            created_at=session.created_at,
            updated_at=session.updated_at,
            user=None,
            public_user_data=None,
            last_active_token=None,
            actor=_actor(session),
            latest_activity=activity(session),
            last_active_organization_id=session.active_organization_id,
        )


def _actor(session: SessionRecord) -> msgspec.Raw | None:
    return None if session.actor is None else msgspec.Raw(session.actor.encode())


def activity(session: SessionRecord) -> SessionActivity:
    """What the User-Agent header gives away, as far as people need it to tell their devices apart."""
    agent = session.user_agent
    browser = _BROWSERS.search(agent)
    # Edge and Opera call themselves Chrome first; the later name is the true one.
    for match in _BROWSERS.finditer(agent):
        if match[1] in ("Edg", "OPR", "Firefox"):
            browser = match
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    return SessionActivity(
        id="sess_activity_" + session.id.removeprefix("sess_"),
        device_type=system,
        is_mobile=system in ("iPhone", "iPad", "Android"),
        browser_name=None if browser is None else _BROWSER_NAMES.get(browser[1], browser[1]),
        browser_version=None if browser is None else browser[2],
        ip_address=session.ip,
    )

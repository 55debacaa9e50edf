"""What happened to users and sessions, as events: each method is called inside the transaction of the change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from doorward.identity.accounts import store as accounts
from doorward.identity.resources.for_back_ends import users as resources
from doorward.identity.webhooks import outbox
from doorward.identity.webhooks.kinds import EventKind
from doorward.identity.webhooks.outbox import NO_REQUEST, Cause
from doorward.store import Tx

if TYPE_CHECKING:
    from doorward.identity.accounts.store import UserRecord
    from doorward.identity.resources.sessions import SessionViews
    from doorward.identity.sessions.store import SessionRecord

#: Clerk has three words for the end of a session; every other way to end is `session.ended`, with its own status inside.
_ENDS: dict[str, EventKind] = {"removed": "session.removed", "revoked": "session.revoked"}


class Events:
    """`views` makes the wire structs."""

    def __init__(self, views: SessionViews) -> None:
        self._views = views

    def user(
        self,
        tx: Tx,
        kind: Literal["user.created", "user.updated"],
        user_id: str,
        *,
        now: int,
        cause: Cause = NO_REQUEST,
    ) -> None:
        """The user as they are after the change."""
        account = accounts.find_account(tx, user_id) if outbox.is_wanted(tx, kind) else None
        if account is not None:
            outbox.enqueue(tx, kind, resources.user(self._views, account, now), now=now, cause=cause)

    def user_deleted(self, tx: Tx, user: UserRecord, *, now: int) -> None:
        """`user` as they were."""
        gone = resources.DeletedUser(id=user.id, object="user", deleted=True, external_id=user.external_id)
        outbox.enqueue(tx, "user.deleted", gone, now=now)

    def session_created(self, tx: Tx, session: SessionRecord, *, now: int) -> None:
        self._session(tx, "session.created", session, now)

    def session_over(self, tx: Tx, session: SessionRecord, status: str, *, now: int) -> None:
        """`session` as it was, `status` what ended it. Called before its user is deleted, who is told with it."""
        ended = replace(session, status=status, updated_at=now)
        self._session(tx, _ENDS.get(status, "session.ended"), ended, now)

    def _session(self, tx: Tx, kind: EventKind, session: SessionRecord, now: int) -> None:
        if not outbox.is_wanted(tx, kind):
            return
        account = accounts.find_account(tx, session.user_id)
        shown = self._views.bare_session(session, now)
        if account is not None:
            shown.user = resources.user(self._views, account, now, session.last_active_at)
        outbox.enqueue(tx, kind, shown, now=now, cause=Cause(session.ip, session.user_agent))

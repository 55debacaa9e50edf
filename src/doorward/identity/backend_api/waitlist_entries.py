"""`/waitlist_entries…`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.ordering import slice_of
from doorward.identity.backend_api.wire.shapes import Body, Listed, NoBody, NoQuery, Page
from doorward.identity.resources.deleted import Deleted
from doorward.identity.resources.for_back_ends import invitations as resources
from doorward.identity.waitlist import store
from doorward.identity.waitlist.rules import WaitlistStatus
from doorward.identity.waitlist.service import JoinWish
from doorward.identity.waitlist.store import WaitlistEntry

_BULK = 50


class Entries(Page, frozen=True, kw_only=True):
    query: str | None = None
    status: WaitlistStatus | None = None
    order_by: str = "-created_at"


class NewEntry(Body, frozen=True, kw_only=True):
    email_address: str
    notify: bool | None = True


class InviteEntry(Body, frozen=True, kw_only=True):
    ignore_existing: bool | None = False


NewEntries = Annotated[list[NewEntry], msgspec.Meta(min_length=1, max_length=_BULK)]


async def list_waitlist_entries(call: Call[Entries, NoBody]) -> Listed[resources.WaitlistEntry]:
    """The waitlist, newest first unless ordered otherwise."""
    wanted = call.query
    entries, total = await call.identity.waitlist.page(
        slice_of(wanted, store.ORDERS), query=wanted.query, status=wanted.status
    )
    return Listed(await _shown(call, entries), total)


async def create_waitlist_entry(call: Call[NoQuery, NewEntry]) -> resources.WaitlistEntry:
    """Put an address on the waitlist; the entry it has where it is there already."""
    entries = await call.identity.waitlist.join([_wish(call.body)], actor=call.caller.id)
    return (await _shown(call, entries))[0]


async def create_bulk_waitlist_entries(
    call: Call[NoQuery, list[NewEntry]],
) -> list[resources.WaitlistEntry]:
    """Put up to fifty addresses on the waitlist, all or none."""
    entries = await call.identity.waitlist.join([_wish(entry) for entry in call.body], actor=call.caller.id)
    return await _shown(call, entries)


async def delete_waitlist_entry(call: Call[NoQuery, NoBody]) -> Deleted:
    """Remove an entry that still waits."""
    entry_id = call.path["waitlist_entry_id"]
    await call.identity.waitlist.delete(entry_id, actor=call.caller.id)
    return Deleted("waitlist_entry", entry_id)


async def invite_waitlist_entry(call: Call[NoQuery, InviteEntry]) -> resources.WaitlistEntry:
    """Invite whoever waits here to sign up."""
    entry, made = await call.identity.waitlist.invite(
        call.path["waitlist_entry_id"],
        ignore_existing=bool(call.body.ignore_existing),
        actor=call.caller.id,
    )
    return resources.waitlist_entry(entry, resources.invitation(made.invitation, call.now, made.url))


async def reject_waitlist_entry(call: Call[NoQuery, NoBody]) -> resources.WaitlistEntry:
    """Turn an entry down; its invitation ends."""
    entry = await call.identity.waitlist.reject(call.path["waitlist_entry_id"], actor=call.caller.id)
    return (await _shown(call, [entry]))[0]


async def _shown(call: Call[Any, Any], entries: Sequence[WaitlistEntry]) -> list[resources.WaitlistEntry]:
    """Each with the invitation it was let in with."""
    made = await call.identity.waitlist.invitations_of(entries)
    return [
        resources.waitlist_entry(
            entry,
            resources.invitation(found, call.now) if (found := made.get(entry.invitation_id or "")) else None,
        )
        for entry in entries
    ]


def _wish(body: NewEntry) -> JoinWish:
    return JoinWish(body.email_address, notify=body.notify is not False)


_ONE = "/waitlist_entries/{waitlist_entry_id}"
OPERATIONS = (
    operation(
        "GET",
        "/waitlist_entries",
        list_waitlist_entries,
        query=Entries,
        answer=Listed[resources.WaitlistEntry],
    ),
    operation(
        "POST", "/waitlist_entries", create_waitlist_entry, body=NewEntry, answer=resources.WaitlistEntry
    ),
    operation(
        "POST",
        "/waitlist_entries/bulk",
        create_bulk_waitlist_entries,
        body=NewEntries,
        answer=list[resources.WaitlistEntry],
    ),
    operation("DELETE", _ONE, delete_waitlist_entry, answer=Deleted),
    operation(
        "POST", f"{_ONE}/invite", invite_waitlist_entry, body=InviteEntry, answer=resources.WaitlistEntry
    ),
    operation("POST", f"{_ONE}/reject", reject_waitlist_entry, answer=resources.WaitlistEntry),
)

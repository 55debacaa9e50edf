"""The audit trail: who did what, to what, when and from where."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from starlette.responses import Response

from doorward.identity.accounts.directory import Ordering
from doorward.identity.accounts.filters import Choice, Filter
from doorward.identity.audit.store import AuditEvent, AuditFilter, Place
from doorward.identity.console.call import Call
from doorward.identity.console.paging import url_with
from doorward.identity.console.sections import Section

PATH = "/admin/audit"
PAGE_SIZE = 50


async def show(call: Call) -> Response:
    query, trail = call.query, call.identity.audit
    wanted = AuditFilter(
        actor=await _id_of(call, query.get("actor", "")),
        object=await _id_of(call, query.get("object", "")),
        action=query.get("action") or None,
        since=_midnight(query.get("from", "")),
        until=_midnight(query.get("to", ""), days=1),
    )
    before, after = _place(query.get("before", "")), _place(query.get("after", ""))
    found = await trail.page(wanted, before=before, after=None if before else after, limit=PAGE_SIZE + 1)
    if after is not None and before is None:
        events, has_newer, has_older = found[-PAGE_SIZE:], len(found) > PAGE_SIZE, True
    else:
        events, has_newer, has_older = found[:PAGE_SIZE], before is not None, len(found) > PAGE_SIZE
    actions = await trail.actions()
    return call.page(
        "audit.html",
        events=events,
        newer_url=_url(call, "after", events[0].place) if has_newer and events else None,
        older_url=_url(call, "before", events[-1].place) if has_older and events else None,
        first_url=url_with(call, before=None, after=None) if before or after else None,
        names=await names_of(call, events),
        actor=query.get("actor", ""),
        object=query.get("object", ""),
        action=query.get("action", ""),
        since=query.get("from", "") if wanted.since is not None else "",
        until=query.get("to", "") if wanted.until is not None else "",
        actions=[("", "Everything"), *((action, action_words(action)) for action in actions)],
        is_filtered=wanted != AuditFilter(),
        action_words=action_words,
        object_url=object_url,
        url_with=lambda **changed: url_with(call, before=None, after=None, **changed),
    )


#: Words of actions that people write otherwise.
_WRITTEN = {
    "allowlist": "allow-list",
    "api": "API",
    "blocklist": "block-list",
    "jwt": "JWT",
    "m2m": "M2M",
    "oauth": "OAuth",
    "url": "URL",
}


def action_words(action: str) -> str:
    """`organization_membership.created` as `Organization membership created`."""
    words = action.replace(".", " ").replace("_", " ").split(" ")
    text = " ".join(_WRITTEN.get(word, word) for word in words)
    return text[:1].upper() + text[1:]


def object_url(object_id: str) -> str | None:
    """Where the console shows the thing, if it has a page of its own."""
    kind = object_id.partition("_")[0]
    folder = {"user": "users", "org": "organizations"}.get(kind)
    return None if folder is None else f"/admin/{folder}/{object_id}"


async def names_of(call: Call, events: Iterable[AuditEvent]) -> dict[str, str]:
    """The addresses of the users among actors and objects; those who are gone have none."""
    ids = {
        each for event in events for each in (event.actor, event.object) if each and each.startswith("user_")
    }
    if not ids:
        return {}
    accounts = await call.identity.directory.list(
        Filter(ids=Choice(tuple(sorted(ids)))), Ordering(), limit=len(ids), offset=0
    )
    return {account.user.id: account.primary_email.address for account in accounts}


async def _id_of(call: Call, text: str) -> str | None:
    """An id as it is; for an address the id of its user, and the address itself where nobody has it."""
    text = text.strip()
    if "@" not in text:
        return text or None
    found = await call.identity.directory.list(
        Filter(email_addresses=(text.lower(),)), Ordering(), limit=1, offset=0
    )
    return found[0].user.id if found else text


def _midnight(text: str, *, days: int = 0) -> int | None:
    """The beginning of a day (UTC) in milliseconds, so many days later; None for what is no date."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _place(text: str) -> Place | None:
    """`<milliseconds>.<id>`; anything else is the newest page."""
    at, _, event_id = text.partition(".")
    if not (at.isascii() and at.isdigit() and len(at) <= 15 and event_id):
        return None
    return Place(int(at), event_id)


def _url(call: Call, way: str, place: Place) -> str:
    other = "before" if way == "after" else "after"
    return url_with(call, **{other: None, way: f"{place.at}.{place.id}"})


SECTION = Section("Audit log", PATH, "Instance", pages=(("GET", PATH, show),))

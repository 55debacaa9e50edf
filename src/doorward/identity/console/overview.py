"""The first page: how many there are of everything, what asks for attention, and what happened last."""

import msgspec
from starlette.responses import Response

from doorward.identity.accounts.filters import Filter
from doorward.identity.audit.store import AuditFilter
from doorward.identity.console.audit_log import action_words, names_of, object_url
from doorward.identity.console.call import Call
from doorward.identity.console.sections import Section
from doorward.identity.invitations.store import InvitationFilter
from doorward.identity.organizations.store import OrganizationFilter
from doorward.identity.paging import Slice

_LATEST = 10


class Figure(msgspec.Struct, frozen=True):
    count: int
    what: str
    path: str


class Hint(msgspec.Struct, frozen=True):
    text: str
    path: str
    action: str


async def show(call: Call) -> Response:
    events = await call.identity.audit.page(AuditFilter(), limit=_LATEST)
    return call.page(
        "overview.html",
        figures=await _figures(call),
        hints=await _hints(call),
        events=events,
        names=await names_of(call, events),
        action_words=action_words,
        object_url=object_url,
        origin=call.identity.settings.origin,
    )


async def _figures(call: Call) -> list[Figure]:
    identity = call.identity
    figures = [
        Figure(await identity.directory.count(Filter()), "Users", "/admin/users"),
        Figure(
            await identity.directory.count(Filter(is_banned=True)),
            "Banned users",
            "/admin/users?standing=banned",
        ),
    ]
    if identity.instance.current.organizations.enabled:
        _, organizations = await identity.organizations.page(OrganizationFilter(), Slice(1))
        figures.append(Figure(organizations, "Organizations", "/admin/organizations"))
    _, open_invitations = await identity.invitations.page(
        InvitationFilter(kind="application", statuses=("pending",)),
        Slice(1),
    )
    figures.append(Figure(open_invitations, "Open invitations", "/admin/invitations?status=pending"))
    _, waiting = await identity.waitlist.page(Slice(1), query=None, status="pending")
    figures.append(Figure(waiting, "On the waitlist", "/admin/waitlist?status=pending"))
    return figures


async def _hints(call: Call) -> list[Hint]:
    """What an operator would rather know before it hurts."""
    identity, hints = call.identity, list[Hint]()
    administrators = [each for each in await identity.administrators.list() if not each.user.is_banned]
    if len(administrators) < 2:
        hints.append(
            Hint(
                "You are the only administrator. If you lose your account, nobody can open this console.",
                "/admin/administrators",
                "Make a second one",
            )
        )
    settings = identity.instance.current
    if identity.inbox is not None:
        hints.append(
            Hint(
                "This server runs for development: mail is kept in its inbox.", "/dev/inbox", "Open the inbox"
            )
        )
    elif settings.test_mode and not identity.settings.development:
        hints.append(
            Hint("Test mode is on, on a server for everybody.", "/admin/settings/origins", "Look at it")
        )
    failing = [
        endpoint
        for endpoint in await identity.webhooks.list_endpoints()
        if not endpoint.is_enabled or endpoint.failing_since is not None
    ]
    if failing:
        hints.append(
            Hint(
                f"Webhooks: {len(failing)} of the endpoints fail or are off.",
                "/admin/webhooks",
                "Look at them",
            )
        )
    return hints


SECTION = Section("Overview", "/admin", "", pages=(("GET", "/admin", show),))

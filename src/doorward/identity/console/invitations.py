"""Invitations to this server."""

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.console.paging import PAGE_SIZE, offset_of, pager
from doorward.identity.console.sections import Question, Section, asking
from doorward.identity.console.text_fields import whole_number_in
from doorward.identity.errors import Refused
from doorward.identity.invitations.rules import DEFAULT_LIFETIME_DAYS, status_of
from doorward.identity.invitations.service import InvitationWish
from doorward.identity.invitations.store import InvitationFilter
from doorward.identity.paging import Slice

PATH = "/admin/invitations"
STATUSES = {
    "": "Every",
    "pending": "Open",
    "accepted": "Accepted",
    "revoked": "Revoked",
    "expired": "Too old",
}
KINDS = {"pending": "warn", "accepted": "good", "revoked": "bad", "expired": "idle"}
MAX_DAYS = 365


class InvitationForm(msgspec.Struct):
    email_address: str = ""
    expires_in_days: str = str(DEFAULT_LIFETIME_DAYS)
    notify: str = ""


async def show(call: Call) -> Response:
    wanted = call.query.get("query", "").strip()
    status = call.query.get("status", "") if call.query.get("status", "") in STATUSES else ""
    found, total = await call.identity.invitations.page(
        InvitationFilter(kind="application", query=wanted or None, statuses=(status,) if status else ()),
        Slice(PAGE_SIZE, offset_of(call)),
    )
    return call.page(
        "invitations.html",
        page=pager(call, found, total),
        wanted=wanted,
        status=status,
        statuses=list(STATUSES.items()),
        words=STATUSES,
        kinds=KINDS,
        status_of=lambda invitation: status_of(invitation, call.now),
        is_filtered=bool(wanted or status),
    )


async def show_new(call: Call) -> Response:
    return call.form("invitation_new.html", InvitationForm(notify="true"))


async def create(call: Call) -> Response:
    form = await call.form_of(InvitationForm)
    try:
        (made,) = await call.identity.invitations.create(
            [
                InvitationWish(
                    email_address=form.email_address,
                    expires_in_days=whole_number_in(
                        "expires_in_days", form.expires_in_days, least=1, most=MAX_DAYS
                    ),
                    notify=form.notify == "true",
                )
            ],
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("invitation_new.html", form, refused)
    return call.page(
        "invitation_made.html", invitation=made.invitation, url=made.url, is_mailed=form.notify == "true"
    )


async def ask_revoke(call: Call) -> Question:
    invitation = await call.identity.invitations.get(call.path["invitation_id"])
    return Question(
        title="Revoke this invitation?",
        text="Its link no longer works. Whoever has an account already keeps it.",
        action="Revoke",
        busy="Revoking…",
        back=PATH,
        facts=(("Address", invitation.email_address or ""),),
    )


async def revoke(call: Call) -> Response:
    await call.identity.invitations.revoke(call.path["invitation_id"], actor=call.actor)
    return call.see(PATH, told="revoked")


SECTION = Section(
    "Invitations",
    PATH,
    "People",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", create),
        *asking(f"{PATH}/{{invitation_id}}/revoke", ask_revoke, revoke),
    ),
    told={"revoked": "The invitation was revoked."},
)

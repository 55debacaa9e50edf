"""One's own account: who it is, its password, and where it is signed in."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.errors import Refused
from doorward.identity.pages import forms, wording
from doorward.identity.pages.site import Site
from doorward.identity.sessions.signed_in import SignedIn
from doorward.identity.sessions.store import SessionRecord

_FIELDS = {
    "current_password": "current_password",
    "password": "current_password",
    "new_password": "new_password",
}


class PasswordForm(msgspec.Struct):
    current_password: str = ""
    new_password: str = ""


class EndForm(msgspec.Struct):
    session: str = ""


class SessionRow(msgspec.Struct, frozen=True):
    """A session as a person recognises it. Times are milliseconds."""

    id: str
    browser: str
    address: str
    last_active_at: int
    created_at: int
    is_this: bool


async def show(site: Site, request: Request) -> Response:
    _, signed_in = await site.signed_in(request)
    has_changed = request.query_params.get("changed") == "password"
    return _account(site, request, signed_in, has_changed=has_changed)


async def change_password(site: Site, request: Request) -> Response:
    """The current password is asked for in the same form: whoever finds an open screen does not know it."""
    form = await forms.form_of(request, PasswordForm)
    _, signed_in = await site.signed_in(request)
    try:
        await site.identity.accounts.change_password(signed_in, form.current_password, form.new_password)
    except Refused as refused:
        return _account(site, request, signed_in, refused)
    return site.see("/account", changed="password")


def _account(
    site: Site,
    request: Request,
    signed_in: SignedIn,
    refused: Refused | None = None,
    *,
    has_changed: bool = False,
) -> Response:
    context = {"signed_in": signed_in, "has_changed": has_changed}
    return site.form(request, "account.html", context, refused, fields=_FIELDS, otherwise="current_password")


async def show_sessions(site: Site, request: Request) -> Response:
    _, signed_in = await site.signed_in(request)
    records = await site.identity.sessions.list_of_user(signed_in.user_id)
    rows = sorted((_row(record, signed_in) for record in records), key=lambda row: not row.is_this)
    ended = request.query_params.get("ended", "")
    return site.page(request, "sessions.html", {"sessions": rows, "has_ended": ended})


async def end_session(site: Site, request: Request) -> Response:
    form = await forms.form_of(request, EndForm)
    visit, signed_in = await site.signed_in(request)
    if form.session == signed_in.session.id:
        changed = await site.identity.sessions.end(visit, form.session)
        response = site.see("/sign-in")
        site.identity.visits.write(response, changed.client)
        return response
    await site.identity.sessions.revoke(signed_in, form.session)
    return site.see("/account/sessions", ended="one")


async def end_other_sessions(site: Site, request: Request) -> Response:
    _, signed_in = await site.signed_in(request)
    for record in await site.identity.sessions.list_of_user(signed_in.user_id):
        if record.id != signed_in.session.id:
            await site.identity.sessions.revoke(signed_in, record.id)
    return site.see("/account/sessions", ended="others")


def _row(record: SessionRecord, signed_in: SignedIn) -> SessionRow:
    return SessionRow(
        id=record.id,
        browser=wording.browser_words(record.user_agent),
        address=wording.address_words(record.ip),
        last_active_at=record.last_active_at,
        created_at=record.created_at,
        is_this=record.id == signed_in.session.id,
    )

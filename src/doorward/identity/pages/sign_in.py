"""Signing in with a password, and signing out."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.errors import SESSION_EXISTS, Refused
from doorward.identity.pages import forms, redirects
from doorward.identity.pages.site import Site
from doorward.identity.sign_in.service import SignInFields

_FIELDS = {"identifier": "email", "password": "password"}


class SignInForm(msgspec.Struct):
    email: str = ""
    password: str = ""
    redirect_url: str = ""
    ticket: str = ""

    def __repr__(self) -> str:
        return "SignInForm(…)"


async def show(site: Site, request: Request) -> Response:
    redirect_url = redirects.own_path(request.query_params.get("redirect_url"), site.settings.origin) or ""
    visit = await site.visit(request)
    if await site.identity.sessions.current(visit) is not None:
        return site.after_sign_in(request, redirect_url)
    # Redeemed by the form alone: whatever looks a link up before the person does must not use it up.
    ticket = request.query_params.get("__clerk_ticket", "")
    return _form(site, request, SignInForm(redirect_url=redirect_url, ticket=ticket))


async def submit(site: Site, request: Request) -> Response:
    form = await forms.form_of(request, SignInForm)
    visit = await site.visit(request)
    fields = SignInFields(identifier=form.email.strip(), strategy="password", password=form.password)
    if form.ticket:
        fields = SignInFields(strategy="ticket", ticket=form.ticket)
    try:
        changed = await site.identity.sign_in.start(visit, fields)
    except Refused as refused:
        if refused.errors[0].code == SESSION_EXISTS.code:
            return site.after_sign_in(request, form.redirect_url)
        return _form(site, request, form, refused)
    response = site.after_sign_in(request, form.redirect_url)
    site.identity.visits.write(response, changed.client)
    return response


async def sign_out(site: Site, request: Request) -> Response:
    changed = await site.identity.sessions.sign_out(await site.visit(request))
    response = site.see("/sign-in")
    site.identity.visits.write(response, changed.client)
    # What pages left in the browser's caches belongs to the person who just left. Cookies stay: the client's says
    # which browser this is, not who.
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


def _form(site: Site, request: Request, form: SignInForm, refused: Refused | None = None) -> Response:
    context = {"form": form, "is_open": site.identity.instance.sign_up_mode == "public"}
    return site.form(request, "sign_in.html", context, refused, fields=_FIELDS)

"""Proving again that it is you, where an application insists on it (`prompt=login`)."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.errors import Refused
from doorward.identity.pages import forms, redirects
from doorward.identity.pages.site import Site


class ConfirmForm(msgspec.Struct):
    password: str = ""
    redirect_url: str = ""


async def show(site: Site, request: Request) -> Response:
    _, signed_in = await site.signed_in(request)
    redirect_url = redirects.own_path(request.query_params.get("redirect_url"), site.settings.origin) or ""
    context = {"form": ConfirmForm(redirect_url=redirect_url), "address": signed_in.email_address}
    return site.form(request, "confirm.html", context)


async def submit(site: Site, request: Request) -> Response:
    form = await forms.form_of(request, ConfirmForm)
    visit, signed_in = await site.signed_in(request)
    try:
        await site.identity.sessions.reauthenticate(visit, signed_in.session.id, password=form.password)
    except Refused as refused:
        context = {"form": form, "address": signed_in.email_address}
        return site.form(request, "confirm.html", context, refused, otherwise="password")
    return site.after_sign_in(request, form.redirect_url)

"""A machine without a browser asks to be signed in (RFC 8628): type its code, look at what asks, decide."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.errors import Refused
from doorward.identity.pages import forms, wording
from doorward.identity.pages.site import Site
from doorward.identity.sessions.signed_in import SignedIn


class CodeForm(msgspec.Struct):
    user_code: str = ""


class DecisionForm(msgspec.Struct):
    user_code: str = ""
    approve: str = ""


async def show(site: Site, request: Request) -> Response:
    """With a code in the address the request is shown at once, but never decided: the link may be anybody's."""
    user_code = request.query_params.get("user_code", "")
    if user_code:
        return await _request(site, request, user_code)
    _, signed_in = await site.signed_in(request)
    return _ask(site, request, signed_in)


async def find(site: Site, request: Request) -> Response:
    form = await forms.form_of(request, CodeForm)
    return await _request(site, request, form.user_code)


async def decide(site: Site, request: Request) -> Response:
    form = await forms.form_of(request, DecisionForm)
    visit, signed_in = await site.signed_in(request)
    is_approved = form.approve == "true"
    try:
        await site.identity.devices.decide(signed_in, visit, form.user_code, approve=is_approved)
    except Refused as refused:
        return _ask(site, request, signed_in, form.user_code, refused)
    return site.page(request, "device_done.html", {"is_approved": is_approved})


def _ask(
    site: Site,
    request: Request,
    signed_in: SignedIn,
    user_code: str = "",
    refused: Refused | None = None,
) -> Response:
    context = {"user_code": user_code, "email_address": signed_in.email_address}
    return site.form(request, "device.html", context, refused, otherwise="user_code")


async def _request(site: Site, request: Request, user_code: str) -> Response:
    visit, signed_in = await site.signed_in(request)
    try:
        asking = await site.identity.devices.find(signed_in, visit, user_code)
    except Refused as refused:
        return _ask(site, request, signed_in, user_code, refused)
    context = {
        "user_code": user_code.strip().upper(),
        "asking": asking,
        "address": wording.address_words(asking.ip),
        "email_address": signed_in.email_address,
    }
    return site.page(request, "device_request.html", context)

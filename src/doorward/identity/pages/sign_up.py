"""Making an account: address and password, then the code that proves the address."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.errors import SESSION_EXISTS, Problem, Refused
from doorward.identity.pages import forms, redirects
from doorward.identity.pages.site import Site
from doorward.identity.sign_up.service import SignUpFields

_FIELDS = {"email_address": "email", "password": "password", "code": "code"}
_VERIFY = "/sign-up/verify"


class SignUpForm(msgspec.Struct):
    email: str = ""
    password: str = ""
    ticket: str = ""
    redirect_url: str = ""


class VerifyForm(msgspec.Struct):
    attempt: str = ""
    code: str = ""
    redirect_url: str = ""


async def show(site: Site, request: Request) -> Response:
    redirect_url = redirects.own_path(request.query_params.get("redirect_url"), site.settings.origin) or ""
    visit = await site.visit(request)
    if await site.identity.sessions.current(visit) is not None:
        return site.after_sign_in(request, redirect_url)
    ticket = request.query_params.get("__clerk_ticket", "")
    return await _form(site, request, SignUpForm(ticket=ticket, redirect_url=redirect_url))


async def submit(site: Site, request: Request) -> Response:
    form = await forms.form_of(request, SignUpForm)
    visit = await site.visit(request)
    fields = SignUpFields(
        email_address=form.email.strip(), password=form.password, ticket=form.ticket or None
    )
    try:
        changed = await site.identity.sign_up.start(visit, fields)
        if changed.value.status == "complete":
            # An invitation that was mailed has proved the address already.
            response = site.after_sign_in(request, form.redirect_url)
        else:
            visit = await site.following(visit, changed.client)
            await site.identity.sign_up.prepare_verification(visit, changed.value.id)
            response = site.see(_VERIFY, attempt=changed.value.id, redirect_url=form.redirect_url)
    except Refused as refused:
        if refused.errors[0].code == SESSION_EXISTS.code:
            return site.after_sign_in(request, form.redirect_url)
        return await _form(site, request, form, refused)
    site.identity.visits.write(response, changed.client)
    return response


async def show_verify(site: Site, request: Request) -> Response:
    query = request.query_params
    return await _verify(
        site,
        request,
        VerifyForm(query.get("attempt", ""), redirect_url=query.get("redirect_url", "")),
        is_resent=query.get("sent") == "again",
    )


async def submit_verify(site: Site, request: Request) -> Response:
    form = await forms.form_of(request, VerifyForm)
    visit = await site.visit(request)
    code = "".join(form.code.split())
    try:
        changed = await site.identity.sign_up.attempt_verification(visit, form.attempt, code)
    except Refused as refused:
        return await _verify(site, request, form, refused)
    response = site.after_sign_in(request, form.redirect_url)
    site.identity.visits.write(response, changed.client)
    return response


async def resend(site: Site, request: Request) -> Response:
    form = await forms.form_of(request, VerifyForm)
    visit = await site.visit(request)
    try:
        await site.identity.sign_up.prepare_verification(visit, form.attempt)
    except Refused as refused:
        return await _verify(site, request, form, refused)
    return site.see(_VERIFY, attempt=form.attempt, redirect_url=form.redirect_url, sent="again")


async def _form(site: Site, request: Request, form: SignUpForm, refused: Refused | None = None) -> Response:
    found = await site.identity.invitations.of_ticket(form.ticket) if form.ticket else None
    invitation = None if isinstance(found, Problem) else found
    context = {
        "form": form,
        "invitation": invitation,
        "is_closed": site.identity.instance.sign_up_mode != "public" and invitation is None,
        "has_dead_ticket": bool(form.ticket) and invitation is None,
    }
    return site.form(request, "sign_up.html", context, refused, fields=_FIELDS)


async def _verify(
    site: Site,
    request: Request,
    form: VerifyForm,
    refused: Refused | None = None,
    *,
    is_resent: bool = False,
) -> Response:
    """The page for the code; for an attempt that is over or another browser's, what to do instead."""
    visit = await site.visit(request)
    if refused is None and await site.identity.sessions.current(visit) is not None:
        return site.after_sign_in(request, form.redirect_url)
    try:
        sign_up = await site.identity.sign_up.get(visit, form.attempt)
    except Refused:
        return site.see("/sign-up")
    if sign_up.status != "missing_requirements":
        return site.see("/sign-up")
    context = {"form": form, "address": sign_up.record.email_address, "is_resent": is_resent}
    return site.form(request, "sign_up_verify.html", context, refused, fields=_FIELDS, otherwise="code")

"""A forgotten password: address, code, new password. Each step looks the same whether the address has an account."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.errors import SESSION_EXISTS, Refused
from doorward.identity.pages import forms, redirects
from doorward.identity.pages.site import Site
from doorward.identity.sign_in.service import SignIn, SignInFields

_STRATEGY = "reset_password_email_code"
_FIELDS = {"identifier": "email", "code": "code", "password": "password"}
_CODE, _NEW_PASSWORD = "/sign-in/code", "/sign-in/new-password"


class ForgotForm(msgspec.Struct):
    email: str = ""
    redirect_url: str = ""


class CodeForm(msgspec.Struct):
    attempt: str = ""
    code: str = ""
    redirect_url: str = ""


class NewPasswordForm(msgspec.Struct):
    attempt: str = ""
    password: str = ""
    redirect_url: str = ""


async def show(site: Site, request: Request) -> Response:
    redirect_url = redirects.own_path(request.query_params.get("redirect_url"), site.settings.origin) or ""
    if await site.identity.sessions.current(await site.visit(request)) is not None:
        return site.see("/account")
    return site.form(request, "forgot.html", {"form": ForgotForm(redirect_url=redirect_url)})


async def submit(site: Site, request: Request) -> Response:
    form = await forms.form_of(request, ForgotForm)
    visit = await site.visit(request)
    try:
        changed = await site.identity.sign_in.start(
            visit, SignInFields(identifier=form.email.strip(), strategy=_STRATEGY)
        )
    except Refused as refused:
        if refused.errors[0].code == SESSION_EXISTS.code:
            return site.after_sign_in(request, form.redirect_url)
        return site.form(request, "forgot.html", {"form": form}, refused, fields=_FIELDS, otherwise="email")
    response = site.see(_CODE, attempt=changed.value.id, redirect_url=form.redirect_url)
    site.identity.visits.write(response, changed.client)
    return response


async def show_code(site: Site, request: Request) -> Response:
    query = request.query_params
    form = CodeForm(query.get("attempt", ""), redirect_url=query.get("redirect_url", ""))
    return await _code(site, request, form)


async def submit_code(site: Site, request: Request) -> Response:
    form = await forms.form_of(request, CodeForm)
    visit = await site.visit(request)
    code = "".join(form.code.split())
    try:
        await site.identity.sign_in.attempt_first_factor(visit, form.attempt, _STRATEGY, code=code)
    except Refused as refused:
        return await _code(site, request, form, refused)
    return site.see(_NEW_PASSWORD, attempt=form.attempt, redirect_url=form.redirect_url)


async def show_new_password(site: Site, request: Request) -> Response:
    query = request.query_params
    form = NewPasswordForm(query.get("attempt", ""), redirect_url=query.get("redirect_url", ""))
    return await _new_password(site, request, form)


async def submit_new_password(site: Site, request: Request) -> Response:
    form = await forms.form_of(request, NewPasswordForm)
    visit = await site.visit(request)
    try:
        changed = await site.identity.sign_in.reset_password(visit, form.attempt, form.password)
    except Refused as refused:
        return await _new_password(site, request, form, refused)
    response = site.after_sign_in(request, form.redirect_url)
    site.identity.visits.write(response, changed.client)
    return response


async def _code(site: Site, request: Request, form: CodeForm, refused: Refused | None = None) -> Response:
    sign_in = await _attempt(site, request, form.attempt)
    if sign_in is None or sign_in.status != "needs_first_factor":
        return site.see("/sign-in/forgot")
    context = {"form": form, "address": sign_in.record.identifier}
    return site.form(request, "reset_code.html", context, refused, fields=_FIELDS, otherwise="code")


async def _new_password(
    site: Site, request: Request, form: NewPasswordForm, refused: Refused | None = None
) -> Response:
    sign_in = await _attempt(site, request, form.attempt)
    if sign_in is None or sign_in.status != "needs_new_password":
        return site.see("/sign-in/forgot")
    context = {"form": form, "address": sign_in.record.identifier}
    return site.form(request, "new_password.html", context, refused, fields=_FIELDS, otherwise="password")


async def _attempt(site: Site, request: Request, attempt: str) -> SignIn | None:
    """The browser's attempt, or None when it is unknown, over or another browser's: then one starts anew."""
    try:
        return await site.identity.sign_in.get(await site.visit(request), attempt)
    except Refused:
        return None

"""OAuth applications: programs of others that people sign in to with their accounts here."""

from typing import Any

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.console.paging import PAGE_SIZE, offset_of, pager
from doorward.identity.console.sections import Question, Section, asking
from doorward.identity.console.text_fields import name_in, words_in
from doorward.identity.errors import Refused
from doorward.identity.oauth.applications import ApplicationChange, ApplicationWish
from doorward.identity.oauth.clients import Application
from doorward.identity.oauth.rules import DEFAULT_SCOPE, KNOWN_SCOPES
from doorward.identity.paging import Slice

PATH = "/admin/oauth-applications"
ONE = f"{PATH}/{{application_id}}"


class ApplicationForm(msgspec.Struct):
    """Boxes are "true" or absent."""

    name: str = ""
    redirect_uris: str = ""
    scopes: str = ""
    is_public: str = ""
    is_pkce_required: str = ""
    is_consent_asked: str = ""
    has_opaque_tokens: str = ""


NEW = ApplicationForm(scopes=" ".join(DEFAULT_SCOPE), is_pkce_required="true", is_consent_asked="true")


async def show(call: Call) -> Response:
    wanted = call.query.get("query", "").strip()
    found, total = await call.identity.oauth_applications.page(
        wanted or None, Slice(PAGE_SIZE + 1, offset_of(call))
    )
    return call.page("oauth_applications.html", page=pager(call, found, total), wanted=wanted)


async def show_one(call: Call) -> Response:
    application = await _application(call)
    origin = call.identity.settings.origin
    addresses = (
        ("Discovery", f"{origin}/.well-known/openid-configuration"),
        ("Authorize", f"{origin}/oauth/authorize"),
        ("Token", f"{origin}/oauth/token"),
        ("Introspection", f"{origin}/oauth/token_info"),
        ("User info", f"{origin}/oauth/userinfo"),
    )
    return call.page("oauth_application.html", application=application, addresses=addresses)


async def show_new(call: Call) -> Response:
    return _form(call, NEW)


async def create(call: Call) -> Response:
    form = await call.form_of(ApplicationForm)
    try:
        made = await call.identity.oauth_applications.create(
            ApplicationWish(**_members(form)),
            actor=call.actor,
        )
    except Refused as refused:
        return _form(call, form, refused)
    if made.client_secret is None:
        return call.see(f"{PATH}/{made.application.id}", told="created")
    return _secret_page(call, made.application, made.client_secret, "The application was made")


async def show_edit(call: Call) -> Response:
    application = await _application(call)
    client = application.client
    form = ApplicationForm(
        name=client.name,
        redirect_uris="\n".join(client.redirect_uris),
        scopes=" ".join(client.scopes),
        is_public=_box(client.is_public),
        is_pkce_required=_box(client.is_pkce_required),
        is_consent_asked=_box(client.is_consent_asked),
        has_opaque_tokens=_box(client.has_opaque_tokens),
    )
    return _form(call, form, application=application)


async def edit(call: Call) -> Response:
    form, application = await call.form_of(ApplicationForm), await _application(call)
    try:
        await call.identity.oauth_applications.update(
            application.id,
            ApplicationChange(**_members(form)),
            actor=call.actor,
        )
    except Refused as refused:
        return _form(call, form, refused, application=application)
    return call.see(f"{PATH}/{application.id}", told="saved")


async def ask_secret(call: Call) -> Question:
    return _question(
        await _application(call),
        "Make a new client secret?",
        "The one it has now stops working at once. People stay signed in.",
        "Make a new secret",
        "Making…",
    )


async def rotate(call: Call) -> Response:
    made = await call.identity.oauth_applications.rotate_secret(call.path["application_id"], actor=call.actor)
    assert made.client_secret is not None, "a public application is refused"
    return _secret_page(call, made.application, made.client_secret, "A new client secret")


async def ask_delete(call: Call) -> Question:
    return _question(
        await _application(call),
        "Delete this application?",
        "Nobody can sign in to it any more, and its refresh tokens and opaque tokens end at once. This cannot be undone.",
        "Delete the application",
        "Deleting…",
    )


async def delete(call: Call) -> Response:
    await call.identity.oauth_applications.delete(call.path["application_id"], actor=call.actor)
    return call.see(PATH, told="deleted")


async def _application(call: Call) -> Application:
    """Which one the address is about. Raises Refused (404)."""
    return await call.identity.oauth_applications.get(call.path["application_id"])


def _members(form: ApplicationForm) -> dict[str, Any]:
    """Raises Refused (422) without a name."""
    return {
        "name": name_in("name", form.name),
        "redirect_uris": words_in(form.redirect_uris),
        "scopes": words_in(form.scopes),
        "is_public": form.is_public == "true",
        "is_pkce_required": form.is_pkce_required == "true" or form.is_public == "true",
        "is_consent_asked": form.is_consent_asked == "true",
        "has_opaque_tokens": form.has_opaque_tokens == "true",
    }


def _box(is_ticked: bool) -> str:
    return "true" if is_ticked else ""


def _form(
    call: Call,
    form: ApplicationForm,
    refused: Refused | None = None,
    *,
    application: Application | None = None,
) -> Response:
    return call.form(
        "oauth_application_form.html",
        form,
        refused,
        application=application,
        known_scopes=", ".join(sorted(KNOWN_SCOPES)),
    )


def _secret_page(call: Call, application: Application, secret: str, title: str) -> Response:
    return call.page(
        "secret.html",
        title=title,
        secret=secret,
        what="the client secret",
        lead=f"It goes with the client id {application.client.client_id}, and only to the application's own server.",
        back=f"{PATH}/{application.id}",
        back_words="To the application",
    )


def _question(application: Application, title: str, text: str, action: str, busy: str) -> Question:
    return Question(
        title=title,
        text=text,
        action=action,
        busy=busy,
        back=f"{PATH}/{application.id}",
        facts=(("Application", application.client.name), ("Client id", application.client.client_id)),
    )


SECTION = Section(
    "OAuth applications",
    PATH,
    "Machines and keys",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", create),
        ("GET", ONE, show_one),
        ("GET", f"{ONE}/edit", show_edit),
        ("POST", f"{ONE}/edit", edit),
        *asking(f"{ONE}/secret", ask_secret, rotate, needs_proof=True),
        *asking(f"{ONE}/delete", ask_delete, delete),
    ),
    told={
        "created": "The application was made. It is public, so it has no secret.",
        "saved": "The application was saved.",
        "deleted": "The application was deleted.",
    },
)

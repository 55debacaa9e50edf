"""API keys: long-lived secrets by which a user's or an organization's own programs are known."""

import re

import msgspec
from starlette.responses import Response

from doorward.identity.api_keys import APIKey, KeyWish
from doorward.identity.api_keys.rules import SUBJECT
from doorward.identity.console.call import Call
from doorward.identity.console.paging import PAGE_SIZE, offset_of, pager
from doorward.identity.console.sections import Question, Section, asking
from doorward.identity.console.text_fields import name_in, none_of_these, text_in, words_in
from doorward.identity.errors import FORM_PARAM_FORMAT_INVALID, Refused
from doorward.identity.settings import DAY

PATH = "/admin/api-keys"
ONE = f"{PATH}/{{key_id}}"
TYPE = "api_key"
LIFETIMES = {
    "never": ("It never ends by itself", None),
    "month": ("30 days", 30 * DAY // 1000),
    "quarter": ("90 days", 90 * DAY // 1000),
    "year": ("A year", 365 * DAY // 1000),
}


class KeyForm(msgspec.Struct):
    subject: str = ""
    name: str = ""
    description: str = ""
    scopes: str = ""
    lifetime: str = "quarter"


class RevocationForm(msgspec.Struct):
    revocation_reason: str = ""


async def show(call: Call) -> Response:
    """Keys are found by whose they are: there is no use in leafing through everybody's."""
    subject = call.query.get("subject", "").strip()
    wanted, with_ended = call.query.get("query", "").strip(), call.query.get("ended", "") == "true"
    keys: list[APIKey] = []
    total = 0
    if subject:
        keys, total = await call.identity.api_keys.page(
            subject,
            TYPE,
            query=wanted or None,
            with_invalid=with_ended,
            limit=PAGE_SIZE + 1,
            offset=offset_of(call),
        )
    return call.page(
        "api_keys.html",
        page=pager(call, keys, total),
        subject=subject,
        wanted=wanted,
        with_ended=with_ended,
        now=call.now,
    )


async def show_new(call: Call) -> Response:
    call.require_recent_proof()
    return _form(call, KeyForm(subject=call.query.get("subject", "")))


async def create(call: Call) -> Response:
    call.require_recent_proof()
    form = await call.form_of(KeyForm)
    try:
        made = await call.identity.api_keys.create(_wish(form), actor=call.actor)
    except Refused as refused:
        return _form(call, form, refused)
    return call.page(
        "secret.html",
        title="The API key was made",
        secret=made.secret,
        what="the API key",
        lead="Programs send it as a bearer token. Give it to whose it is, and to nobody else.",
        back=_list_of(made.key.subject),
        back_words="To the keys",
    )


async def show_one(call: Call) -> Response:
    key = await _key(call)
    return call.page("api_key.html", key=key, claims=key.claims, now=call.now, back=_list_of(key.subject))


async def show_revoke(call: Call) -> Response:
    return call.form("api_key_revoke.html", RevocationForm(), key=await _key(call))


async def revoke(call: Call) -> Response:
    form, key = await call.form_of(RevocationForm), await _key(call)
    try:
        reason = text_in("revocation_reason", form.revocation_reason)
        await call.identity.api_keys.revoke(key.id, reason=reason, actor=call.actor)
    except Refused as refused:
        return call.form("api_key_revoke.html", form, refused, key=key)
    return call.see(f"{PATH}/{key.id}", told="revoked")


async def ask_delete(call: Call) -> Question:
    key = await _key(call)
    return Question(
        title="Delete this API key?",
        text="It stops working at once, and nothing of it stays but the audit trail.",
        action="Delete the key",
        busy="Deleting…",
        back=f"{PATH}/{key.id}",
        facts=(("Key", key.name), ("Whose", key.subject)),
    )


async def delete(call: Call) -> Response:
    key = await _key(call)
    await call.identity.api_keys.delete(key.id, actor=call.actor)
    return call.see(PATH, subject=key.subject, told="deleted")


async def _key(call: Call) -> APIKey:
    """Which one the address is about. Raises Refused (404)."""
    return await call.identity.api_keys.get(call.path["key_id"])


def _wish(form: KeyForm) -> KeyWish:
    """Raises Refused (422)."""
    subject = form.subject.strip()
    if not re.search(SUBJECT, subject):
        raise Refused(
            FORM_PARAM_FORMAT_INVALID.at(
                "subject", long_message="Write the id of a user, an organization or a machine."
            )
        )
    if form.lifetime not in LIFETIMES:
        raise none_of_these("lifetime")
    return KeyWish(
        type=TYPE,
        name=name_in("name", form.name, least=3),
        subject=subject,
        description=text_in("description", form.description),
        scopes=words_in(form.scopes),
        lifetime=LIFETIMES[form.lifetime][1],
    )


def _form(call: Call, form: KeyForm, refused: Refused | None = None) -> Response:
    lifetimes = [(key, words) for key, (words, _) in LIFETIMES.items()]
    return call.form("api_key_new.html", form, refused, lifetimes=lifetimes)


def _list_of(subject: str) -> str:
    return f"{PATH}?subject={subject}"


SECTION = Section(
    "API keys",
    PATH,
    "Machines and keys",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", create),
        ("GET", ONE, show_one),
        ("GET", f"{ONE}/revoke", show_revoke),
        ("POST", f"{ONE}/revoke", revoke),
        *asking(f"{ONE}/delete", ask_delete, delete),
    ),
    told={"revoked": "The key was revoked.", "deleted": "The key was deleted."},
)

"""Machines that get tokens for each other: their names, whom they may call, their secret keys."""

import msgspec
from starlette.responses import Response

from doorward.identity.console import machine_tokens
from doorward.identity.console.call import Call
from doorward.identity.console.machine_tokens import ONE, PATH, machine_of, path_of
from doorward.identity.console.paging import PAGE_SIZE, offset_of, pager
from doorward.identity.console.sections import Question, Section, asking
from doorward.identity.console.text_fields import name_in, none_of_these, whole_number_in, words_in
from doorward.identity.errors import Refused
from doorward.identity.machines import MachineDetail
from doorward.identity.machines.rules import MAX_TOKEN_SECONDS
from doorward.identity.paging import Slice
from doorward.identity.settings import DAY, HOUR

_SCOPE = f"{ONE}/scopes/{{to_machine_id}}/remove"
GRACE = {
    "none": ("It stops at once", 0),
    "hour": ("It works for an hour more", HOUR // 1000),
    "day": ("It works for a day more", DAY // 1000),
}


class MachineForm(msgspec.Struct):
    name: str = ""
    default_token_ttl: str = "3600"  # noqa: S105  (seconds)
    scoped_machines: str = ""


class ScopeForm(msgspec.Struct):
    to_machine_id: str = ""


class RotationForm(msgspec.Struct):
    grace: str = "hour"


async def show(call: Call) -> Response:
    wanted = call.query.get("query", "").strip()
    machines, total = await call.identity.machines.page(wanted or None, Slice(PAGE_SIZE + 1, offset_of(call)))
    return call.page("machines.html", page=pager(call, machines, total), wanted=wanted)


async def show_one(call: Call) -> Response:
    detail = await machine_of(call)
    tokens, _ = await call.identity.m2m_tokens.page(
        detail.machine.id,
        None,
        with_revoked=True,
        with_expired=False,
        limit=PAGE_SIZE + 1,
        offset=offset_of(call),
    )
    return call.page("machine.html", detail=detail, tokens=pager(call, tokens), now=call.now)


async def show_new(call: Call) -> Response:
    return call.form("machine_form.html", MachineForm(), detail=None)


async def create(call: Call) -> Response:
    form = await call.form_of(MachineForm)
    try:
        made = await call.identity.machines.create(
            name_in("name", form.name),
            scoped_machines=words_in(form.scoped_machines),
            default_token_ttl=_seconds(form),
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("machine_form.html", form, refused, detail=None)
    return _secret_page(call, made.detail, made.secret_key, "The machine was made")


async def show_edit(call: Call) -> Response:
    detail = await machine_of(call)
    form = MachineForm(detail.machine.name, str(detail.machine.default_token_ttl))
    return call.form("machine_form.html", form, detail=detail)


async def edit(call: Call) -> Response:
    form, detail = await call.form_of(MachineForm), await machine_of(call)
    try:
        await call.identity.machines.update(
            detail.machine.id,
            name=name_in("name", form.name),
            default_token_ttl=_seconds(form),
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("machine_form.html", form, refused, detail=detail)
    return call.see(path_of(detail), told="saved")


async def show_new_scope(call: Call) -> Response:
    return call.form("machine_scope.html", ScopeForm(), detail=await machine_of(call))


async def add_scope(call: Call) -> Response:
    form, detail = await call.form_of(ScopeForm), await machine_of(call)
    try:
        target = name_in("to_machine_id", form.to_machine_id)
        await call.identity.machines.add_scope(detail.machine.id, target, actor=call.actor)
    except Refused as refused:
        return call.form("machine_scope.html", form, refused, detail=detail)
    return call.see(path_of(detail), told="scope-added")


async def ask_remove_scope(call: Call) -> Question:
    detail = await machine_of(call)
    other = next((one for one in detail.scoped_machines if one.id == call.path["to_machine_id"]), None)
    name = call.path["to_machine_id"] if other is None else other.name
    return _question(
        detail,
        f"Take {name} away from this machine?",
        "It gets no new tokens for it. Tokens made before keep working until they end or are revoked.",
        "Take it away",
        "Taking it away…",
    )


async def remove_scope(call: Call) -> Response:
    detail = await machine_of(call)
    await call.identity.machines.remove_scope(detail.machine.id, call.path["to_machine_id"], actor=call.actor)
    return call.see(path_of(detail), told="scope-removed")


async def show_rotation(call: Call) -> Response:
    call.require_recent_proof()
    return _rotation_form(call, await machine_of(call), RotationForm())


async def rotate(call: Call) -> Response:
    call.require_recent_proof()
    form, detail = await call.form_of(RotationForm), await machine_of(call)
    if form.grace not in GRACE:
        return _rotation_form(
            call,
            detail,
            form,
            none_of_these("grace"),
        )
    secret = await call.identity.machines.rotate(
        detail.machine.id, grace_seconds=GRACE[form.grace][1], actor=call.actor
    )
    return _secret_page(call, detail, secret, "A new secret key")


async def ask_delete(call: Call) -> Question:
    return _question(
        await machine_of(call),
        "Delete this machine?",
        "Its secret key and its tokens stop working at once. This cannot be undone.",
        "Delete the machine",
        "Deleting…",
    )


async def delete(call: Call) -> Response:
    await call.identity.machines.delete(call.path["machine_id"], actor=call.actor)
    return call.see(PATH, told="deleted")


def _seconds(form: MachineForm) -> int:
    return whole_number_in("default_token_ttl", form.default_token_ttl, least=1, most=MAX_TOKEN_SECONDS)


def _rotation_form(
    call: Call, detail: MachineDetail, form: RotationForm, refused: Refused | None = None
) -> Response:
    graces = [(key, words) for key, (words, _) in GRACE.items()]
    return call.form("machine_rotation.html", form, refused, detail=detail, graces=graces)


def _secret_page(call: Call, detail: MachineDetail, secret: str, title: str) -> Response:
    return call.page(
        "secret.html",
        title=title,
        secret=secret,
        what="the machine's secret key",
        lead="With it the machine makes and checks its tokens. CLERK_MACHINE_SECRET_KEY is the variable that SDKs read.",
        back=path_of(detail),
        back_words="To the machine",
    )


def _question(detail: MachineDetail, title: str, text: str, action: str, busy: str) -> Question:
    machine = detail.machine
    return Question(
        title=title,
        text=text,
        action=action,
        busy=busy,
        back=path_of(detail),
        facts=(("Machine", machine.name), ("Id", machine.id)),
    )


SECTION = Section(
    "Machines",
    PATH,
    "Machines and keys",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", create),
        ("GET", ONE, show_one),
        ("GET", f"{ONE}/edit", show_edit),
        ("POST", f"{ONE}/edit", edit),
        ("GET", f"{ONE}/scopes/new", show_new_scope),
        ("POST", f"{ONE}/scopes/new", add_scope),
        *asking(_SCOPE, ask_remove_scope, remove_scope),
        ("GET", f"{ONE}/secret", show_rotation),
        ("POST", f"{ONE}/secret", rotate),
        *asking(f"{ONE}/delete", ask_delete, delete, needs_proof=True),
        *machine_tokens.PAGES,
    ),
    told={
        "saved": "The machine was saved.",
        "scope-added": "The machine may call one more.",
        "scope-removed": "The machine may no longer call it.",
        "deleted": "The machine was deleted.",
        **machine_tokens.TOLD,
    },
)

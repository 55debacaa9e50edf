"""JWT templates: what else a token says, with a look at what somebody would get."""

from typing import Any

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.console.json_fields import indented, object_of
from doorward.identity.console.paging import PAGE_SIZE, offset_of, pager
from doorward.identity.console.sections import Question, Section, asking
from doorward.identity.console.template_recipes import RECIPES
from doorward.identity.console.text_fields import whole_number_in
from doorward.identity.errors import Refused
from doorward.identity.templates import rules
from doorward.identity.templates.service import Draft, Preview
from doorward.identity.templates.store import TemplateRecord

PATH = "/admin/jwt-templates"
ONE = f"{PATH}/{{template_id}}"
#: What the choice of keys is sent as where nothing is to change.
INSTANCE_KEY, SAME_KEY = "", "same"


class TemplateForm(msgspec.Struct):
    """`signing_algorithm`: `""` for the key of this server, `same` for the template's own as it is, or what a new key is for."""

    name: str = ""
    claims: str = "{\n  \n}"
    lifetime: str = str(rules.DEFAULT_LIFETIME)
    allowed_clock_skew: str = str(rules.DEFAULT_CLOCK_SKEW)
    signing_algorithm: str = INSTANCE_KEY
    signing_key: str = ""
    user_id: str = ""
    step: str = "save"

    def __repr__(self) -> str:
        return f"TemplateForm({self.name})"


async def show(call: Call) -> Response:
    found, total = await call.identity.templates.list(limit=PAGE_SIZE + 1, offset=offset_of(call))
    return call.page("jwt_templates.html", page=pager(call, found, total), recipes=tuple(RECIPES))


async def show_new(call: Call) -> Response:
    recipe = call.query.get("recipe", "")
    form = TemplateForm(user_id=call.actor)
    if recipe in RECIPES:
        start = RECIPES[recipe]
        form = TemplateForm(
            name=recipe,
            claims=indented(msgspec.json.encode(start.claims).decode()),
            lifetime=str(start.lifetime),
            user_id=call.actor,
        )
    return _form(call, form)


async def create(call: Call) -> Response:
    form = await call.form_of(TemplateForm)
    try:
        if form.step == "preview":
            return _form(call, form, preview=await _preview(call, form))
        made = await call.identity.templates.create(_draft(form), actor=call.actor)
    except Refused as refused:
        return _form(call, form, refused)
    return call.see(f"{PATH}/{made.id}", told="created")


async def show_one(call: Call) -> Response:
    template = await _template(call)
    form = TemplateForm(
        name=template.name,
        claims=indented(template.claims),
        lifetime=str(template.lifetime),
        allowed_clock_skew=str(template.allowed_clock_skew),
        signing_algorithm=INSTANCE_KEY if template.sealed_signing_key is None else SAME_KEY,
        user_id=call.actor,
    )
    return _form(call, form, template=template)


async def edit(call: Call) -> Response:
    form, template = await call.form_of(TemplateForm), await _template(call)
    try:
        if form.step == "preview":
            return _form(call, form, template=template, preview=await _preview(call, form))
        await call.identity.templates.update(template.id, _draft(form), actor=call.actor)
    except Refused as refused:
        return _form(call, form, refused, template=template)
    return call.see(f"{PATH}/{template.id}", told="saved")


async def ask_delete(call: Call) -> Question:
    template = await _template(call)
    return Question(
        title="Delete this template?",
        text="Applications that ask for it get an error. Tokens made with it live on until they end.",
        action="Delete the template",
        busy="Deleting…",
        back=f"{PATH}/{template.id}",
        facts=(("Template", template.name),),
    )


async def delete(call: Call) -> Response:
    await call.identity.templates.delete(call.path["template_id"], actor=call.actor)
    return call.see(PATH, told="deleted")


async def _template(call: Call) -> TemplateRecord:
    """Which one the address is about. Raises Refused (404)."""
    return await call.identity.templates.get(call.path["template_id"])


def _draft(form: TemplateForm) -> Draft:
    """Raises Refused (422) for claims that are no object and times that are no numbers."""
    is_same = form.signing_algorithm == SAME_KEY
    is_custom = form.signing_algorithm != INSTANCE_KEY
    return Draft(
        name=form.name.strip(),
        claims=_claims(form),
        lifetime=whole_number_in(
            "lifetime", form.lifetime, least=rules.MIN_LIFETIME, most=rules.MAX_LIFETIME
        ),
        allowed_clock_skew=whole_number_in(
            "allowed_clock_skew", form.allowed_clock_skew, least=0, most=rules.MAX_CLOCK_SKEW
        ),
        custom_signing_key=is_custom,
        signing_algorithm=None if is_same or not is_custom else form.signing_algorithm,
        signing_key=None if is_same or not is_custom else form.signing_key or None,
    )


def _claims(form: TemplateForm) -> dict[str, Any]:
    return object_of("claims", form.claims)


async def _preview(call: Call, form: TemplateForm) -> Preview:
    """Raises Refused, with the user's field named where nobody has this id."""
    claims = _claims(form)
    try:
        return await call.identity.templates.preview(claims, form.user_id.strip() or call.actor)
    except Refused as refused:
        if refused.status == 404:
            raise Refused(*(problem.at("user_id") for problem in refused.errors)) from None
        raise


def _form(
    call: Call,
    form: TemplateForm,
    refused: Refused | None = None,
    *,
    template: TemplateRecord | None = None,
    preview: Preview | None = None,
) -> Response:
    """A key that was written is not shown again: whoever mends something else writes it once more."""
    keys = [(INSTANCE_KEY, "The key of this server (RS256)")]
    if template is not None and template.sealed_signing_key is not None:
        keys.append((SAME_KEY, f"The template's own, as it is ({template.signing_algorithm})"))
    keys += [(each, f"Another key: {each}") for each in sorted(rules.CUSTOM_ALGORITHMS)]
    claims = None if preview is None else msgspec.json.format(msgspec.json.encode(preview.claims)).decode()
    return call.form(
        "jwt_template.html", form, refused, stored=template, keys=keys, preview=preview, claims=claims
    )


SECTION = Section(
    "JWT templates",
    PATH,
    "Machines and keys",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", create),
        ("GET", ONE, show_one),
        ("POST", ONE, edit),
        *asking(f"{ONE}/delete", ask_delete, delete),
    ),
    told={
        "created": "The template was made.",
        "saved": "The template was saved.",
        "deleted": "The template was deleted.",
    },
)

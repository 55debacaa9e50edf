"""Secret keys: whoever holds one is this server's own back end."""

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.console.sections import Question, Section, asking
from doorward.identity.console.text_fields import name_in
from doorward.identity.errors import RESOURCE_NOT_FOUND, Refused
from doorward.identity.secret_keys.store import SecretKey

PATH = "/admin/secret-keys"


class SecretKeyForm(msgspec.Struct):
    name: str = ""


async def show(call: Call) -> Response:
    return call.page("secret_keys.html", keys=await call.identity.secret_keys.list())


async def show_new(call: Call) -> Response:
    call.require_recent_proof()
    return call.form("secret_key_new.html", SecretKeyForm())


async def create(call: Call) -> Response:
    call.require_recent_proof()
    form = await call.form_of(SecretKeyForm)
    try:
        made = await call.identity.secret_keys.make(name_in("name", form.name), actor=call.actor)
    except Refused as refused:
        return call.form("secret_key_new.html", form, refused)
    return call.page(
        "secret.html",
        title="The secret key was made",
        secret=made.secret,
        what="the secret key",
        lead="Back ends read it from CLERK_SECRET_KEY. It may do everything the Backend API can: never give it to a browser.",
        back=PATH,
        back_words="To the secret keys",
    )


async def _key(call: Call) -> SecretKey:
    """Which one the address is about. Raises Refused (404), also for one that was ended before."""
    for key in await call.identity.secret_keys.list():
        if key.id == call.path["key_id"] and key.revoked_at is None:
            return key
    raise Refused(RESOURCE_NOT_FOUND)


async def ask_end(call: Call) -> Question:
    key = await _key(call)
    return Question(
        title="End this secret key?",
        text="Whatever uses it is refused from now on. This cannot be undone.",
        action="End the key",
        busy="Ending…",
        back=PATH,
        facts=(("Key", key.name), ("Id", key.id)),
    )


async def end(call: Call) -> Response:
    await call.identity.secret_keys.revoke((await _key(call)).id, actor=call.actor)
    return call.see(PATH, told="ended")


SECTION = Section(
    "Secret keys",
    PATH,
    "Machines and keys",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", create),
        *asking(f"{PATH}/{{key_id}}/end", ask_end, end, needs_proof=True),
    ),
    told={"ended": "The secret key was ended."},
)

"""Opaque tokens of a machine. JWTs are not kept, so they cannot be listed or revoked."""

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.console.sections import PageRoute
from doorward.identity.console.text_fields import text_in
from doorward.identity.errors import Refused
from doorward.identity.machines import MachineDetail

PATH = "/admin/machines"
ONE = f"{PATH}/{{machine_id}}"
_TOKEN = f"{ONE}/tokens/{{token_id}}/revoke"


class RevocationForm(msgspec.Struct):
    revocation_reason: str = ""


def path_of(detail: MachineDetail) -> str:
    return f"{PATH}/{detail.machine.id}"


async def machine_of(call: Call) -> MachineDetail:
    """Which one the address is about. Raises Refused (404)."""
    return await call.identity.machines.get(call.path["machine_id"])


async def show_revoke(call: Call) -> Response:
    return _form(call, await machine_of(call), RevocationForm())


async def revoke(call: Call) -> Response:
    form, detail = await call.form_of(RevocationForm), await machine_of(call)
    try:
        await call.identity.m2m_tokens.revoke(
            call.path["token_id"],
            detail.machine.id,
            reason=text_in("revocation_reason", form.revocation_reason),
            actor=call.actor,
        )
    except Refused as refused:
        return _form(call, detail, form, refused)
    return call.see(path_of(detail), told="revoked")


def _form(
    call: Call, detail: MachineDetail, form: RevocationForm, refused: Refused | None = None
) -> Response:
    return call.form("machine_token.html", form, refused, detail=detail, token_id=call.path["token_id"])


PAGES: tuple[PageRoute, ...] = (("GET", _TOKEN, show_revoke), ("POST", _TOKEN, revoke))
TOLD = {"revoked": "The token was revoked. Nobody's check accepts it from now on."}

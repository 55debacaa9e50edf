"""Webhook endpoints: where they lead, what they hear of, and their secrets."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from doorward.identity.console import webhook_deliveries
from doorward.identity.console.call import Call
from doorward.identity.console.paging import PAGE_SIZE, offset_of, pager
from doorward.identity.console.sections import Question, Section, asking
from doorward.identity.console.webhook_deliveries import ONE, PATH, STATUSES, endpoint_of, path_of
from doorward.identity.errors import Refused
from doorward.identity.webhooks.endpoints import Endpoint
from doorward.identity.webhooks.kinds import KINDS, NAMED_ONLY

#: `webhook.test` comes when an administrator asks for it, whatever an endpoint chose.
CHOICES = tuple(kind for kind in KINDS if kind != "webhook.test")


class EndpointForm(msgspec.Struct):
    """`kinds` are the ticked boxes; each is called as its kind is."""

    url: str = ""
    description: str = ""
    kinds: tuple[str, ...] = ()


async def show(call: Call) -> Response:
    return call.page("webhooks.html", endpoints=await call.identity.webhooks.list_endpoints())


async def show_one(call: Call) -> Response:
    endpoint = await endpoint_of(call)
    wanted = call.query.get("status", "")
    status = next((status for status, _ in STATUSES if status and status == wanted), None)
    found = await call.identity.webhooks.list_deliveries(
        endpoint.id, status=status, limit=PAGE_SIZE + 1, offset=offset_of(call)
    )
    return call.page(
        "webhook.html",
        endpoint=endpoint,
        page=pager(call, found.deliveries, found.total),
        status=status or "",
        statuses=STATUSES,
    )


async def show_new(call: Call) -> Response:
    return _form(call, EndpointForm())


async def create(call: Call) -> Response:
    form = await _read(call)
    try:
        made = await call.identity.webhooks.create(
            form.url, kinds=form.kinds, description=form.description, actor=call.actor
        )
    except Refused as refused:
        return _form(call, form, refused)
    return _secret_page(call, made.endpoint, made.secret, "The endpoint was made")


async def show_edit(call: Call) -> Response:
    endpoint = await endpoint_of(call)
    return _form(call, EndpointForm(endpoint.url, endpoint.description, endpoint.kinds), endpoint=endpoint)


async def edit(call: Call) -> Response:
    form, endpoint = await _read(call), await endpoint_of(call)
    try:
        await call.identity.webhooks.update(
            endpoint.id, url=form.url, kinds=form.kinds, description=form.description, actor=call.actor
        )
    except Refused as refused:
        return _form(call, form, refused, endpoint)
    return call.see(path_of(endpoint), told="saved")


async def ask_disable(call: Call) -> Question:
    return _question(
        await endpoint_of(call),
        "Stop sending to this endpoint?",
        "What happens meanwhile is kept in its log as skipped, and can be sent once it is on again.",
        "Stop",
        "Stopping…",
    )


async def disable(call: Call) -> Response:
    return await _switch(call, is_enabled=False, told="disabled")


async def ask_enable(call: Call) -> Question:
    return _question(
        await endpoint_of(call),
        "Send to this endpoint again?",
        "New events go there from now on. What was skipped meanwhile is sent when you ask for it.",
        "Start",
        "Starting…",
        is_dangerous=False,
    )


async def enable(call: Call) -> Response:
    return await _switch(call, is_enabled=True, told="enabled")


async def ask_secret(call: Call) -> Question:
    return _question(
        await endpoint_of(call),
        "Make a new signing secret?",
        "For a day deliveries carry the signatures of both secrets. Give the receiver the new one before that.",
        "Make a new secret",
        "Making…",
        is_dangerous=False,
    )


async def rotate(call: Call) -> Response:
    made = await call.identity.webhooks.rotate_secret(call.path["endpoint_id"], actor=call.actor)
    return _secret_page(call, made.endpoint, made.secret, "A new signing secret")


async def ask_test(call: Call) -> Question:
    return _question(
        await endpoint_of(call),
        "Send a test event?",
        "A webhook.test goes to this endpoint alone. Its answer stands in the log a moment later.",
        "Send it",
        "Sending…",
        is_dangerous=False,
    )


async def send_test(call: Call) -> Response:
    endpoint = await endpoint_of(call)
    await call.identity.webhooks.send_test(endpoint.id, actor=call.actor)
    return call.see(path_of(endpoint), told="tested")


async def ask_delete(call: Call) -> Question:
    return _question(
        await endpoint_of(call),
        "Delete this endpoint?",
        "Its secrets and its log go with it, and nothing more is sent. This cannot be undone.",
        "Delete the endpoint",
        "Deleting…",
    )


async def delete(call: Call) -> Response:
    await call.identity.webhooks.delete(call.path["endpoint_id"], actor=call.actor)
    return call.see(PATH, told="deleted")


async def _switch(call: Call, *, is_enabled: bool, told: str) -> Response:
    endpoint = await call.identity.webhooks.update(
        call.path["endpoint_id"], is_enabled=is_enabled, actor=call.actor
    )
    return call.see(path_of(endpoint), told=told)


async def _read(call: Call) -> EndpointForm:
    fields: Mapping[str, str] = await call.fields()
    kinds = tuple(kind for kind in CHOICES if fields.get(kind) == "true")
    return EndpointForm(fields.get("url", "").strip(), fields.get("description", "").strip(), kinds)


def _form(
    call: Call, form: EndpointForm, refused: Refused | None = None, endpoint: Endpoint | None = None
) -> Response:
    return call.form(
        "webhook_form.html", form, refused, endpoint=endpoint, choices=CHOICES, named_only=NAMED_ONLY
    )


def _secret_page(call: Call, endpoint: Endpoint, secret: str, title: str) -> Response:
    return call.page(
        "secret.html",
        title=title,
        secret=secret,
        what="the signing secret",
        lead="Receivers check with it that a delivery is ours. Svix's libraries take it as it stands.",
        back=path_of(endpoint),
        back_words="To the endpoint",
    )


def _question(
    endpoint: Endpoint, title: str, text: str, action: str, busy: str, *, is_dangerous: bool = True
) -> Question:
    return Question(
        title=title,
        text=text,
        action=action,
        busy=busy,
        back=path_of(endpoint),
        facts=(("Endpoint", endpoint.url), ("Id", endpoint.id)),
        is_dangerous=is_dangerous,
    )


SECTION = Section(
    "Webhooks",
    PATH,
    "Machines and keys",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", create),
        ("GET", ONE, show_one),
        ("GET", f"{ONE}/edit", show_edit),
        ("POST", f"{ONE}/edit", edit),
        *asking(f"{ONE}/disable", ask_disable, disable),
        *asking(f"{ONE}/enable", ask_enable, enable),
        *asking(f"{ONE}/secret", ask_secret, rotate, needs_proof=True),
        *asking(f"{ONE}/test", ask_test, send_test),
        *asking(f"{ONE}/delete", ask_delete, delete),
        *webhook_deliveries.PAGES,
    ),
    told={
        "saved": "The endpoint was saved.",
        "disabled": "Nothing more is sent to this endpoint.",
        "enabled": "New events are sent to this endpoint.",
        "tested": "The test event is on its way. Load the page again for its answer.",
        "deleted": "The endpoint was deleted.",
        **webhook_deliveries.TOLD,
    },
)

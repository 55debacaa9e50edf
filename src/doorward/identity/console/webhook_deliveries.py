"""What was sent to a webhook endpoint, how it was answered, and sending it once more."""

from typing import Literal

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.console.json_fields import indented
from doorward.identity.console.sections import PageRoute, Question, asking
from doorward.identity.console.text_fields import none_of_these
from doorward.identity.errors import Refused
from doorward.identity.settings import DAY, HOUR
from doorward.identity.webhooks.deliveries import DeliveryStatus
from doorward.identity.webhooks.endpoints import Endpoint

PATH = "/admin/webhooks"
ONE = f"{PATH}/{{endpoint_id}}"
_DELIVERY = f"{ONE}/deliveries/{{delivery_id}}"

STATUSES: tuple[tuple[DeliveryStatus | Literal[""], str], ...] = (
    ("", "All of them"),
    ("pending", "On its way"),
    ("delivered", "Delivered"),
    ("failed", "Failed"),
    ("skipped", "Skipped"),
)
SPANS = {
    "hour": ("The last hour", HOUR),
    "day": ("The last 24 hours", DAY),
    "week": ("The last 7 days", 7 * DAY),
    "month": ("All that is kept: 30 days", 30 * DAY),
}


class ReplayForm(msgspec.Struct):
    since: str = "day"


def path_of(endpoint: Endpoint) -> str:
    return f"{PATH}/{endpoint.id}"


async def endpoint_of(call: Call) -> Endpoint:
    """Which one the address is about. Raises Refused (404)."""
    return await call.identity.webhooks.get(call.path["endpoint_id"])


async def show(call: Call) -> Response:
    endpoint = await endpoint_of(call)
    found = await call.identity.webhooks.get_delivery(endpoint.id, call.path["delivery_id"])
    return call.page(
        "webhook_delivery.html",
        endpoint=endpoint,
        delivery=found.delivery,
        attempts=found.attempts,
        data=indented(found.data),
    )


async def ask_replay(call: Call) -> Question:
    endpoint = await endpoint_of(call)
    delivery = (await call.identity.webhooks.get_delivery(endpoint.id, call.path["delivery_id"])).delivery
    return Question(
        title="Send this delivery once more?",
        text="The same id and the same body under a new time. A receiver that keeps ids knows it has it already.",
        action="Send it again",
        busy="Sending…",
        back=f"{path_of(endpoint)}/deliveries/{delivery.id}",
        facts=(("Event", delivery.kind), ("Id", delivery.event_id), ("Endpoint", endpoint.url)),
        is_dangerous=False,
    )


async def replay(call: Call) -> Response:
    endpoint_id, delivery_id = call.path["endpoint_id"], call.path["delivery_id"]
    await call.identity.webhooks.replay(endpoint_id, delivery_id, actor=call.actor)
    return call.see(f"{PATH}/{endpoint_id}/deliveries/{delivery_id}", told="replayed")


async def show_replay_all(call: Call) -> Response:
    return _replay_form(call, await endpoint_of(call), ReplayForm())


async def replay_all(call: Call) -> Response:
    form, endpoint = await call.form_of(ReplayForm), await endpoint_of(call)
    try:
        if form.since not in SPANS:
            raise none_of_these("since")
        since = call.now - SPANS[form.since][1]
        await call.identity.webhooks.replay_undelivered(endpoint.id, since=since, actor=call.actor)
    except Refused as refused:
        return _replay_form(call, endpoint, form, refused)
    return call.see(path_of(endpoint), told="replayed-all")


def _replay_form(
    call: Call, endpoint: Endpoint, form: ReplayForm, refused: Refused | None = None
) -> Response:
    spans = [(key, words) for key, (words, _) in SPANS.items()]
    return call.form("webhook_replay.html", form, refused, endpoint=endpoint, spans=spans)


PAGES: tuple[PageRoute, ...] = (
    ("GET", f"{ONE}/replay", show_replay_all),
    ("POST", f"{ONE}/replay", replay_all),
    ("GET", _DELIVERY, show),
    *asking(f"{_DELIVERY}/replay", ask_replay, replay),
)
TOLD = {
    "replayed": "The delivery is on its way again. Load the page again for its answer.",
    "replayed-all": "What had not arrived is on its way again.",
}

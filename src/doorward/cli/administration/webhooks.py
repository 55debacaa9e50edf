"""`doorward webhooks`: who is told of what happens, and whether it arrived."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import click

from doorward.cli.administration.answers import Page, answer_change, answer_page, answer_record
from doorward.cli.administration.options import Target, administration, confirmed, yes_option
from doorward.cli.administration.tables import Column, Record, details
from doorward.cli.options import Number
from doorward.cli.output import answer_json

if TYPE_CHECKING:
    from doorward.cli.administration.api import Api

_UNITS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def _state(endpoint: Record) -> str:
    if not endpoint["enabled"]:
        return "off"
    return "failing" if endpoint["failing_since"] else "on"


def _kinds(endpoint: Record) -> str:
    return ", ".join(endpoint["kinds"]) or "everything"


COLUMNS = (
    Column("Endpoint", "id", is_whole=True),
    Column("State", _state, is_whole=True),
    Column("URL", "url"),
    Column("Is told of", _kinds),
)


def _last_answer(delivery: Record) -> str:
    if not delivery["attempts"]:
        return "–"
    last = delivery["attempts"][-1]
    return str(last["status"] or last["problem"] or "–")


DELIVERY_COLUMNS = (
    Column("Delivery", "id", is_whole=True),
    Column("Event", "kind"),
    Column("State", "status", is_whole=True),
    Column("Tries", lambda delivery: str(len(delivery["attempts"])), is_whole=True),
    Column("Last answer", _last_answer),
    Column("Queued", "created_at", is_whole=True),
)


@click.group("webhooks")
def webhooks() -> None:
    """Webhooks: endpoints, their secrets, what arrived.

    An ENDPOINT is an id or a URL.
    """


@webhooks.command("list")
@administration
def list_endpoints(target: Target) -> None:
    """List endpoints."""
    answer = target.run(lambda api: api.ask("GET", "/webhook_endpoints"))
    answer_page(target, answer, Page.of(answer, {}), COLUMNS, nothing="Nobody is told of anything.")


@webhooks.command("show")
@click.argument("endpoint")
@administration
def show_endpoint(target: Target, endpoint: str) -> None:
    """Show one endpoint."""
    found = target.run(lambda api: _find(api, endpoint))
    answer_record(target, found, shown=[("Id", found["id"]), ("Kinds", _kinds(found))])


@webhooks.command("create")
@click.argument("receiver", metavar="URL")
@click.option(
    "--event",
    "kinds",
    multiple=True,
    metavar="KIND",
    help="Such as user.created; may be repeated (default: everything).",
)
@click.option("--description")
@administration
def create_endpoint(target: Target, receiver: str, kinds: tuple[str, ...], description: str | None) -> None:
    """Tell URL of what happens, and show the secret that signs it."""
    from doorward.cli.administration.api import given

    body = given(url=receiver, kinds=list(kinds) or None, description=description)
    made = target.run(lambda api: api.ask("POST", "/webhook_endpoints", body=body))
    answer_change(
        target, made, f"{receiver} is now endpoint {made['id']}.", secret=("signing secret", made["secret"])
    )


@webhooks.command("update")
@click.argument("endpoint")
@click.option("--receiver", metavar="URL", help="Another URL.")
@click.option(
    "--event", "kinds", multiple=True, metavar="KIND", help="In place of those there are; may be repeated."
)
@click.option("--every-event", is_flag=True, help="Everything from now on.")
@click.option("--description")
@click.option("--on/--off", "enabled", default=None, help="Switch it on or off.")
@administration
def update_endpoint(
    target: Target,
    endpoint: str,
    receiver: str | None,
    kinds: tuple[str, ...],
    every_event: bool,
    description: str | None,
    enabled: bool | None,
) -> None:
    """Change an endpoint, or switch it on or off."""
    body: dict[str, object] = {
        name: value
        for name, value in (("url", receiver), ("description", description), ("enabled", enabled))
        if value is not None
    }
    if kinds or every_event:
        body["kinds"] = list(kinds)
    if not body:
        raise click.UsageError("Say what to change.")

    async def work(api: Api) -> Any:
        return await api.ask("PATCH", f"/webhook_endpoints/{(await _find(api, endpoint))['id']}", body=body)

    changed = target.run(work)
    answer_change(target, changed, f"{changed['url']} is changed; it is {_state(changed)}.")


@webhooks.command("delete")
@click.argument("endpoint")
@yes_option
@administration
def delete_endpoint(target: Target, endpoint: str, yes: bool) -> None:
    """Delete an endpoint; what is queued for it is skipped."""
    found = target.run(lambda api: _find(api, endpoint))
    if confirmed(target, f"Delete {found['url']}? It is told of nothing any more.", yes=yes):
        gone = target.run(lambda api: api.ask("DELETE", f"/webhook_endpoints/{found['id']}"))
        answer_change(target, gone, f"Deleted: {found['url']}.")


@webhooks.command("rotate")
@click.argument("endpoint")
@administration
def rotate(target: Target, endpoint: str) -> None:
    """Replace an endpoint's signing secret. The old one signs as well for 24 hours."""

    async def work(api: Api) -> Any:
        return await api.ask("POST", f"/webhook_endpoints/{(await _find(api, endpoint))['id']}/rotate_secret")

    made = target.run(work)
    sentence = f"{made['url']} has a new signing secret. For 24 hours both sign."
    answer_change(target, made, sentence, secret=("signing secret", made["secret"]))


@webhooks.command("test")
@click.argument("endpoint")
@administration
def test_endpoint(target: Target, endpoint: str) -> None:
    """Send a webhook.test to one endpoint."""

    async def work(api: Api) -> Any:
        return await api.ask("POST", f"/webhook_endpoints/{(await _find(api, endpoint))['id']}/test")

    sent = target.run(work)
    answer_change(
        target,
        sent,
        f"On its way: {sent['event_id']}. See `doorward webhooks deliveries` whether it arrived.",
    )


@webhooks.command("deliveries")
@click.argument("endpoint")
@click.option("--status", type=click.Choice(["pending", "delivered", "failed", "skipped"]))
@click.option("--delivery", help="Show this one, with every attempt.")
@click.option("--limit", type=Number(1, 500), default=20, show_default=True)
@click.option("--offset", type=Number(0), default=0, show_default=True)
@administration
def list_deliveries(
    target: Target, endpoint: str, status: str | None, delivery: str | None, limit: int, offset: int
) -> None:
    """List what was sent to an endpoint, newest first."""
    asked = {"status": status, "limit": limit, "offset": offset}

    async def work(api: Api) -> Any:
        path = f"/webhook_endpoints/{(await _find(api, endpoint))['id']}/deliveries"
        if delivery is None:
            return await api.ask("GET", path, query=asked)
        async for one in api.every(path):
            if one["id"] == delivery:
                return one
        return None

    answer = target.run(work)
    if delivery is None:
        answer_page(
            target, answer, Page.of(answer, asked), DELIVERY_COLUMNS, nothing="Nothing was sent to it."
        )
    elif answer is None:
        target.fail(f"There is no delivery {delivery} to it.", code="resource_not_found")
    elif target.as_json:
        answer_json(answer)
    else:
        _show_delivery(answer)


@webhooks.command("replay")
@click.argument("endpoint")
@click.argument("delivery", required=False)
@click.option("--since", metavar="AGE", help="What never arrived since so long ago: 30m, 12h, 7d.")
@administration
def replay(target: Target, endpoint: str, delivery: str | None, since: str | None) -> None:
    """Send a delivery once more. With --since all that never arrived."""
    if (delivery is None) == (since is None):
        raise click.UsageError("Name a delivery, or --since.")
    begun = None if since is None else int(time.time() * 1000) - _age(since)

    async def work(api: Api) -> Any:
        from doorward.cli.administration.api import path_of

        path = f"/webhook_endpoints/{(await _find(api, endpoint))['id']}"
        if delivery is None:
            return await api.ask("POST", f"{path}/replay", body={"since": begun})
        return await api.ask("POST", f"{path}/deliveries{path_of(delivery)}/replay")

    answer = target.run(work)
    answer_change(target, answer, f"On their way again: {answer['count']}." if since else "On its way again.")


async def _find(api: Api, named: str) -> Any:
    """Raises ApiRefused."""
    from doorward.cli.administration.api import ApiRefused

    async for one in api.every("/webhook_endpoints"):
        if named in (one["id"], one["url"]):
            return one
    raise ApiRefused(
        f"There is no endpoint {named!r}. Look with `doorward webhooks list`.",
        code="resource_not_found",
        status=404,
    )


def _age(text: str) -> int:
    match = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if match is None:
        raise click.BadParameter("write a number and m, h or d: 12h", param_hint="--since")
    return int(match[1]) * _UNITS[match[2]]


def _show_delivery(delivery: Record) -> None:
    members = [
        ("Id", delivery["id"]),
        ("Event", f"{delivery['kind']} ({delivery['event_id']})"),
        ("State", delivery["status"]),
    ]
    for attempt in delivery["attempts"]:
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(attempt["at"] / 1000))
        said = str(attempt["status"] or attempt["problem"])
        members.append(
            ("Attempt", f"{when}: {said} after {attempt['duration_ms']} ms {attempt['body'][:200]}")
        )
    print(details(members))

"""`/webhook_endpoints…`: webhooks without a console. Doorward's own; Clerk leaves them to Svix."""

from __future__ import annotations

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire import webhook_endpoints as wire
from doorward.identity.backend_api.wire.shapes import Listed, NoBody, NoQuery
from doorward.identity.resources.deleted import Deleted
from doorward.identity.webhooks.service import MadeSecret


async def list_webhook_endpoints(call: Call[NoQuery, NoBody]) -> Listed[wire.WebhookEndpoint]:
    """Every webhook endpoint, newest first."""
    found = [wire.endpoint(one) for one in await call.identity.webhooks.list_endpoints()]
    return Listed(found, len(found))


async def create_webhook_endpoint(call: Call[NoQuery, wire.NewWebhookEndpoint]) -> wire.MadeWebhookEndpoint:
    """Make a webhook endpoint; its signing secret is in the answer alone."""
    body = call.body
    made = await call.identity.webhooks.create(
        body.url,
        kinds=body.kinds or (),
        description=body.description or "",
        secret=body.secret,
        actor=call.caller.id,
    )
    return _made(made)


async def get_webhook_endpoint(call: Call[NoQuery, NoBody]) -> wire.WebhookEndpoint:
    """One webhook endpoint."""
    return wire.endpoint(await call.identity.webhooks.get(call.path["endpoint_id"]))


async def update_webhook_endpoint(call: Call[NoQuery, wire.ChangeWebhookEndpoint]) -> wire.WebhookEndpoint:
    """Change a webhook endpoint, or switch it off and on."""
    body = call.body
    changed = await call.identity.webhooks.update(
        call.path["endpoint_id"],
        url=body.url,
        kinds=body.kinds,
        description=body.description,
        is_enabled=body.enabled,
        actor=call.caller.id,
    )
    return wire.endpoint(changed)


async def delete_webhook_endpoint(call: Call[NoQuery, NoBody]) -> Deleted:
    """Delete a webhook endpoint; what is queued for it is skipped."""
    endpoint_id = call.path["endpoint_id"]
    await call.identity.webhooks.delete(endpoint_id, actor=call.caller.id)
    return Deleted("webhook_endpoint", endpoint_id)


async def rotate_webhook_endpoint_secret(call: Call[NoQuery, NoBody]) -> wire.MadeWebhookEndpoint:
    """Replace an endpoint's signing secret; the one before signs as well for 24 hours."""
    return _made(await call.identity.webhooks.rotate_secret(call.path["endpoint_id"], actor=call.caller.id))


async def test_webhook_endpoint(call: Call[NoQuery, NoBody]) -> wire.SentTest:
    """Send a `webhook.test` to one endpoint."""
    return wire.SentTest(
        await call.identity.webhooks.send_test(call.path["endpoint_id"], actor=call.caller.id)
    )


async def replay_undelivered_webhooks(call: Call[NoQuery, wire.ReplaySince]) -> wire.Replayed:
    """Send everything once more that was queued since then and never arrived."""
    count = await call.identity.webhooks.replay_undelivered(
        call.path["endpoint_id"], since=call.body.since, actor=call.caller.id
    )
    return wire.Replayed(count)


async def list_webhook_deliveries(call: Call[wire.Deliveries, NoBody]) -> Listed[wire.WebhookDelivery]:
    """What was sent to an endpoint, newest first, with every attempt."""
    page = await call.identity.webhooks.list_deliveries(
        call.path["endpoint_id"],
        status=call.query.status,
        limit=call.query.limit,
        offset=call.query.offset,
    )
    return Listed([wire.logged(one) for one in page.deliveries], page.total)


async def replay_webhook_delivery(call: Call[NoQuery, NoBody]) -> wire.WebhookDelivery:
    """Send one finished delivery once more."""
    delivery = await call.identity.webhooks.replay(
        call.path["endpoint_id"], call.path["delivery_id"], actor=call.caller.id
    )
    return wire.delivery(delivery, [])


def _made(made: MadeSecret) -> wire.MadeWebhookEndpoint:
    return wire.MadeWebhookEndpoint(**wire.members(made.endpoint), secret=made.secret)


_ALL = "/webhook_endpoints"
_ONE = f"{_ALL}/{{endpoint_id}}"
OPERATIONS = (
    operation("GET", _ALL, list_webhook_endpoints, answer=Listed[wire.WebhookEndpoint]),
    operation(
        "POST", _ALL, create_webhook_endpoint, body=wire.NewWebhookEndpoint, answer=wire.MadeWebhookEndpoint
    ),
    operation("GET", _ONE, get_webhook_endpoint, answer=wire.WebhookEndpoint),
    operation(
        "PATCH", _ONE, update_webhook_endpoint, body=wire.ChangeWebhookEndpoint, answer=wire.WebhookEndpoint
    ),
    operation("DELETE", _ONE, delete_webhook_endpoint, answer=Deleted),
    operation(
        "POST", f"{_ONE}/rotate_secret", rotate_webhook_endpoint_secret, answer=wire.MadeWebhookEndpoint
    ),
    operation("POST", f"{_ONE}/test", test_webhook_endpoint, answer=wire.SentTest),
    operation(
        "POST", f"{_ONE}/replay", replay_undelivered_webhooks, body=wire.ReplaySince, answer=wire.Replayed
    ),
    operation(
        "GET",
        f"{_ONE}/deliveries",
        list_webhook_deliveries,
        query=wire.Deliveries,
        answer=Listed[wire.WebhookDelivery],
    ),
    operation(
        "POST",
        f"{_ONE}/deliveries/{{delivery_id}}/replay",
        replay_webhook_delivery,
        answer=wire.WebhookDelivery,
    ),
)

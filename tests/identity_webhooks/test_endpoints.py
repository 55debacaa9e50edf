"""Administering endpoints: what may be one, secrets and their overlap, replay, test events."""

from __future__ import annotations

import base64

import msgspec
import pytest

from doorward.identity.errors import Refused
from doorward.identity.webhooks import rules
from doorward.identity.webhooks.service import MAX_ENDPOINTS, MAX_SECRETS
from doorward.webhook_signing import key_of, signature
from tests.identity_webhooks.conftest import Hooks
from tests.identity_webhooks.receiver import answering
from tests.identity_webhooks.test_delivery import expected_signature

URL = "https://hooks.example.com/in"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://127.0.0.1/",
        "https://10.0.0.7/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/",
        "https://user:password@hooks.example.com/",
        "ftp://hooks.example.com/",
        "hooks.example.com",
        "https://hooks.example.com/" + "a" * 2_048,
    ],
)
async def test_a_url_that_will_never_be_called_is_refused(hooks: Hooks, url: str) -> None:
    with pytest.raises(Refused) as refused:
        await hooks.service.create(url, actor="admin")
    assert [(one.code, one.param) for one in refused.value.errors] == [("form_param_value_invalid", "url")]
    assert await hooks.service.list_endpoints() == []


async def test_every_wrong_member_is_named_at_once(hooks: Hooks) -> None:
    with pytest.raises(Refused) as refused:
        await hooks.service.create(
            "http://x.example/",
            kinds=["user.exploded"],
            description="d" * 257,
            secret="whsec_short",
            actor=None,
        )
    assert [one.param for one in refused.value.errors] == ["url", "kinds", "description", "secret"]


async def test_an_endpoint_is_made_changed_and_deleted_with_a_trace(hooks: Hooks) -> None:
    made = await hooks.service.create(URL, kinds=["user.deleted", "user.created"], actor="admin")
    assert made.endpoint.kinds == ("user.created", "user.deleted")
    assert made.secret not in repr(made)
    changed = await hooks.service.update(made.endpoint.id, description="CRM", kinds=[], actor="admin")
    assert (changed.description, changed.kinds, changed.url) == ("CRM", (), URL)
    await hooks.service.update(made.endpoint.id, is_enabled=False, actor="admin")
    await hooks.service.update(made.endpoint.id, is_enabled=False, actor="admin")
    await hooks.service.update(made.endpoint.id, is_enabled=True, actor="admin")
    assert await hooks.service.list_endpoints() == [await hooks.service.get(made.endpoint.id)]
    await hooks.service.delete(made.endpoint.id, actor="admin")
    with pytest.raises(Refused, match="resource_not_found"):
        await hooks.service.get(made.endpoint.id)
    words = ["created", "updated", "disabled", "enabled", "deleted"]
    assert sorted(await hooks.audited()) == sorted(
        (f"webhook_endpoint.{word}", "admin", "https://hooks.example.com") for word in words
    )


async def test_there_are_only_so_many_endpoints(hooks: Hooks) -> None:
    for _ in range(MAX_ENDPOINTS):
        await hooks.service.create(URL, actor="admin")
    with pytest.raises(Refused, match="webhook_limit_reached"):
        await hooks.service.create(URL, actor="admin")


async def test_a_secret_that_receivers_know_can_be_brought(hooks: Hooks) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()
    made = await hooks.service.create(hooks.receiver.url, secret=secret, actor="admin")
    assert made.secret == secret
    await hooks.happen()
    await hooks.deliverer().work()
    [received] = hooks.receiver.received
    assert received.headers["svix-signature"] == expected_signature(secret, received)


async def test_secrets_lie_sealed(hooks: Hooks) -> None:
    made = await hooks.service.create(URL, actor="admin")
    [(sealed,)] = await hooks.world.database.read(
        lambda tx: tx.fetch_all("SELECT sealed FROM identity_webhook_secrets")
    )
    assert made.secret.encode() not in bytes(sealed)
    assert key_of(made.secret) not in bytes(sealed)


async def test_a_replaced_secret_signs_beside_the_new_one_for_a_day(hooks: Hooks) -> None:
    first = await hooks.listen()
    second = await hooks.service.rotate_secret(first.endpoint.id, actor="admin")
    assert second.secret != first.secret
    deliverer = hooks.deliverer()
    await hooks.happen()
    await deliverer.work()
    hooks.world.clock.advance(rules.OVERLAP_MS)
    await hooks.happen()
    await deliverer.work()
    during, after = hooks.receiver.received
    assert during.headers["svix-signature"].split(" ") == [
        expected_signature(second.secret, during),
        expected_signature(first.secret, during),
    ]
    assert after.headers["svix-signature"] == expected_signature(second.secret, after)


async def test_only_so_many_secrets_sign_at_once(hooks: Hooks) -> None:
    made = await hooks.listen()
    for _ in range(MAX_SECRETS - 1):
        await hooks.service.rotate_secret(made.endpoint.id, actor="admin")
    with pytest.raises(Refused, match="webhook_limit_reached"):
        await hooks.service.rotate_secret(made.endpoint.id, actor="admin")
    hooks.world.clock.advance(rules.OVERLAP_MS)
    await hooks.service.rotate_secret(made.endpoint.id, actor="admin")


async def test_a_delivery_is_replayed_with_its_own_id(hooks: Hooks) -> None:
    made, other = await hooks.listen(), await hooks.listen("role.deleted")
    event = await hooks.happen()
    [delivery] = await hooks.deliveries(made)
    with pytest.raises(Refused, match="webhook_delivery_pending"):
        await hooks.service.replay(made.endpoint.id, delivery.id, actor="admin")
    deliverer = hooks.deliverer()
    await deliverer.work()
    hooks.world.clock.advance(10_000)
    replayed = await hooks.service.replay(made.endpoint.id, delivery.id, actor="admin")
    assert (replayed.status, replayed.attempts) == ("pending", 0)
    await deliverer.work()
    first, second = hooks.receiver.received
    assert first.headers["svix-id"] == second.headers["svix-id"] == event
    assert first.body == second.body
    assert first.headers["svix-timestamp"] != second.headers["svix-timestamp"]
    with pytest.raises(Refused, match="resource_not_found"):
        await hooks.service.replay(other.endpoint.id, delivery.id, actor="admin")


async def test_what_never_arrived_since_a_moment_is_replayed_and_nothing_else(hooks: Hooks) -> None:
    made, deliverer = await hooks.listen(), hooks.deliverer()
    await hooks.happen()
    await deliverer.work()
    hooks.receiver.answer = answering(500)
    await hooks.happen()
    for _ in range(rules.MOST_ATTEMPTS):
        await deliverer.work()
        hooks.world.clock.advance(13 * 3_600_000)
    hooks.receiver.answer = answering(204)
    hooks.receiver.received.clear()
    now = hooks.world.clock()
    assert await hooks.service.replay_undelivered(made.endpoint.id, since=now, actor="admin") == 0
    assert await hooks.service.replay_undelivered(made.endpoint.id, since=0, actor="admin") == 1
    await deliverer.work()
    assert len(hooks.receiver.received) == 1
    page = await hooks.service.list_deliveries(made.endpoint.id, status="delivered", limit=1)
    assert (len(page.deliveries), page.total) == (1, 2)


async def test_a_test_event_goes_to_one_endpoint_whatever_it_asked_for(hooks: Hooks) -> None:
    made = await hooks.listen("role.deleted")
    await hooks.listen()
    event = await hooks.service.send_test(made.endpoint.id, actor="admin")
    await hooks.deliverer().work()
    [received] = hooks.receiver.received
    assert received.headers["svix-id"] == event
    body = msgspec.json.decode(received.body)
    assert body["type"] == "webhook.test"
    assert body["data"] == {"id": made.endpoint.id, "url": hooks.receiver.url, "object": "webhook_endpoint"}


async def test_nothing_is_sent_again_to_a_disabled_endpoint(hooks: Hooks) -> None:
    made = await hooks.listen()
    await hooks.service.update(made.endpoint.id, is_enabled=False, actor="admin")
    for work in (
        hooks.service.send_test(made.endpoint.id, actor="admin"),
        hooks.service.replay_undelivered(made.endpoint.id, since=0, actor="admin"),
    ):
        with pytest.raises(Refused, match="webhook_endpoint_disabled"):
            await work


async def test_old_events_are_forgotten_with_their_log_unless_on_their_way(hooks: Hooks) -> None:
    await hooks.listen()
    await hooks.happen()
    await hooks.deliverer().work()
    waiting = await hooks.happen()
    hooks.world.clock.advance(rules.KEEP_MS + 1)
    await hooks.world.identity.forget_expired()
    rows = await hooks.world.database.read(
        lambda tx: [
            tx.fetch_all("SELECT id FROM identity_webhook_events"),
            tx.fetch_all("SELECT id FROM identity_webhook_attempts"),
        ]
    )
    assert rows == [[(waiting,)], []]


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_!!!", "whsec_" + "A" * 20, base64.b64encode(b"k" * 32).decode()]
)
def test_what_is_no_secret_is_told_apart(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook secret"):
        key_of(secret)


def test_the_signature_is_the_one_of_svixs_documentation() -> None:
    """The example of Svix's page on verifying by hand."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )

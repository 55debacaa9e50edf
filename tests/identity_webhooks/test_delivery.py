"""Sending: once per lease, again until it arrives, and never to where it must not go."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac

import msgspec
import pytest

from doorward.identity.webhooks import rules
from doorward.identity.webhooks.deliverer import LEASE_MS, MAX_ANSWER_BYTES, MOST_PER_ENDPOINT
from doorward.identity.webhooks.rules import JITTER, MOST_ATTEMPTS, RETRY_MS
from tests.identity_webhooks.conftest import Hooks
from tests.identity_webhooks.receiver import Received, answering, never

DAY = 86_400_000


def expected_signature(secret: str, received: Received) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{received.headers['svix-id']}.{received.headers['svix-timestamp']}.".encode() + received.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


async def test_an_event_arrives_signed_under_both_families_of_names(hooks: Hooks) -> None:
    made = await hooks.listen("user.created")
    browser = await hooks.world.signed_up()
    assert await hooks.deliverer().work()

    [received] = hooks.receiver.received
    headers = received.headers
    assert headers["content-type"] == "application/json"
    assert headers["svix-timestamp"] == str(hooks.world.clock() // 1000)
    assert headers["svix-signature"] == expected_signature(made.secret, received)
    for name in ("id", "timestamp", "signature"):
        assert headers[f"webhook-{name}"] == headers[f"svix-{name}"]
    body = msgspec.json.decode(received.body)
    assert list(body) == ["data", "event_attributes", "instance_id", "object", "timestamp", "type"]
    assert (body["object"], body["type"], body["instance_id"]) == ("event", "user.created", "ins_1")
    assert body["timestamp"] == hooks.world.clock()
    assert body["data"]["id"] == await browser.user_id()
    assert body["event_attributes"]["http_request"]["client_ip"] == "203.0.113.7"
    [delivery] = await hooks.deliveries(made)
    assert (delivery.status, delivery.attempts, delivery.event_id) == ("delivered", 1, headers["svix-id"])
    assert not await hooks.deliverer().work()


async def test_the_job_sends_what_is_committed_while_it_runs(hooks: Hooks) -> None:
    await hooks.listen()
    deliverer = hooks.deliverer()
    await deliverer.start()
    await hooks.happen()
    await hooks.receiver.wait_for(1)


async def test_it_is_tried_on_svixs_schedule_with_the_same_id_and_body(hooks: Hooks) -> None:
    made = await hooks.listen()
    hooks.receiver.answer = answering(500, b"out of order")
    await hooks.happen()
    deliverer = hooks.deliverer()

    for pause in RETRY_MS:
        assert await deliverer.work()
        [delivery] = await hooks.deliveries(made)
        wait = delivery.not_before - hooks.world.clock()
        assert pause <= wait <= pause * (1 + JITTER)
        hooks.world.clock.advance(wait - 1)
        assert not await deliverer.work()
        hooks.world.clock.advance(1)
    assert await deliverer.work()

    [delivery] = await hooks.deliveries(made)
    assert (delivery.status, delivery.attempts) == ("failed", MOST_ATTEMPTS)
    assert len({(one.headers["svix-id"], one.body) for one in hooks.receiver.received}) == 1
    times = [int(one.headers["svix-timestamp"]) for one in hooks.receiver.received]
    assert len(times) == MOST_ATTEMPTS == 8
    assert times == sorted(set(times))
    attempts = await hooks.attempts(made)
    assert [(one.status, one.problem, one.body) for one in attempts] == [(500, None, "out of order")] * 8
    hooks.world.clock.advance(DAY)
    assert not await deliverer.work()


@pytest.mark.parametrize(
    ("answer", "status", "problem"),
    [
        (answering(302, location="https://elsewhere.example/"), 302, None),
        (answering(404), 404, None),
        (answering(200, b"x" * (MAX_ANSWER_BYTES + 1)), None, "too_large"),
        (never, None, "timed_out"),
    ],
    ids=["redirect", "not found", "endless", "silent"],
)
async def test_anything_but_a_small_2xx_in_time_is_tried_again(
    hooks: Hooks, answer, status: int | None, problem: str | None
) -> None:
    made = await hooks.listen()
    hooks.receiver.answer = answer
    await hooks.happen()
    await hooks.deliverer(timeout=2 if answer is never else 15).work()
    [delivery] = await hooks.deliveries(made)
    [attempt] = await hooks.attempts(made)
    assert (delivery.status, attempt.status, attempt.problem) == ("pending", status, problem)
    assert answer is never or len(hooks.receiver.received) == 1


async def test_what_an_endpoint_answered_is_kept_cut_short_and_readable(hooks: Hooks) -> None:
    made = await hooks.listen()
    hooks.receiver.answer = answering(200, b"\x00\xff" + "é".encode() * 5_000)
    await hooks.happen()
    await hooks.deliverer().work()
    [attempt] = await hooks.attempts(made)
    assert attempt.body[:3] == "\ufffd\ufffdé"
    assert len(attempt.body) == 1_024


async def test_a_receiver_that_was_down_gets_everything_once_it_is_back(hooks: Hooks) -> None:
    made = await hooks.listen()
    port, deliverer = hooks.receiver.port, hooks.deliverer()
    await hooks.service.update(
        made.endpoint.id, url=hooks.receiver.url.replace(str(port), "1"), actor="admin"
    )
    events = {await hooks.happen() for _ in range(3)}
    await deliverer.work()
    assert [one.problem for one in await hooks.attempts(made)] == ["unreachable"] * 3
    assert (await hooks.service.get(made.endpoint.id)).failing_since == hooks.world.clock()

    await hooks.service.update(made.endpoint.id, url=hooks.receiver.url, actor="admin")
    hooks.world.clock.advance(6_000)
    await deliverer.work()
    assert {one.headers["svix-id"] for one in hooks.receiver.received} == events
    assert (await hooks.service.get(made.endpoint.id)).failing_since is None


async def test_an_endpoint_that_never_answers_does_not_keep_others_waiting(hooks: Hooks) -> None:
    silent = await hooks.listen("role.created", url=f"{hooks.receiver.url}/silent")
    await hooks.listen("role.deleted")

    async def answer(received: Received) -> bytes:
        return await (never if received.path.endswith("silent") else answering(204))(received)

    hooks.receiver.answer = answer
    for _ in range(3 * MOST_PER_ENDPOINT):
        await hooks.happen("role.created")
    wanted = await hooks.happen("role.deleted")
    deliverer = hooks.deliverer(timeout=600)
    await deliverer.start()
    received = await hooks.receiver.wait_for(MOST_PER_ENDPOINT + 1)
    assert [one.headers["svix-id"] for one in received if not one.path.endswith("silent")] == [wanted]
    held = await hooks.world.database.read(
        lambda tx: tx.fetch_one(
            "SELECT count(*) FROM identity_webhook_deliveries WHERE endpoint_id = ? AND lease IS NOT NULL",
            (silent.endpoint.id,),
        )
    )
    assert held == (MOST_PER_ENDPOINT,)


async def test_nodes_deliver_each_once(hooks: Hooks) -> None:
    await hooks.listen()
    events = [await hooks.happen() for _ in range(12)]
    nodes = [hooks.deliverer() for _ in range(3)]
    for _ in range(6):
        await asyncio.gather(*(node.work() for node in nodes))
    assert sorted(one.headers["svix-id"] for one in hooks.receiver.received) == sorted(events)


async def test_what_a_dead_node_held_is_sent_by_another_when_its_lease_lapses(hooks: Hooks) -> None:
    made = await hooks.listen()
    await hooks.happen()
    dead = hooks.deliverer()
    hooks.receiver.answer = never
    sending = asyncio.create_task(dead.work())
    await hooks.receiver.wait_for(1)
    alive = hooks.deliverer()
    assert not await alive.work()
    hooks.world.clock.advance(LEASE_MS)
    hooks.receiver.answer = answering(204)
    assert await alive.work()
    assert len(hooks.receiver.received) == 2
    [delivery] = await hooks.deliveries(made)
    assert (delivery.status, delivery.attempts) == ("delivered", 2)
    sending.cancel()


async def test_who_lost_its_lease_records_nothing(hooks: Hooks) -> None:
    made = await hooks.listen()
    await hooks.happen()
    go = asyncio.Event()

    async def slowly(received: Received) -> bytes:
        await go.wait()
        return await answering(500)(received)

    hooks.receiver.answer = slowly
    sending = asyncio.create_task(hooks.deliverer().work())
    await hooks.receiver.wait_for(1)
    hooks.world.clock.advance(LEASE_MS)
    hooks.receiver.answer = answering(204)
    assert await hooks.deliverer().work()
    go.set()
    await sending
    assert [one.status for one in await hooks.attempts(made)] == [204]
    assert [one.status for one in await hooks.deliveries(made)] == ["delivered"]


async def test_an_endpoint_that_failed_for_five_days_is_disabled_and_says_why(hooks: Hooks) -> None:
    made = await hooks.listen()
    hooks.receiver.answer = answering(500)
    deliverer = hooks.deliverer()
    await hooks.happen()
    await deliverer.work()
    hooks.world.clock.advance(rules.DISABLE_AFTER_MS - 1)
    await deliverer.work()
    assert (await hooks.service.get(made.endpoint.id)).is_enabled
    await hooks.happen()
    hooks.world.clock.advance(1)
    await deliverer.work()

    endpoint = await hooks.service.get(made.endpoint.id)
    assert (endpoint.is_enabled, endpoint.disabled_because) == (False, "failing")
    assert ("webhook_endpoint.disabled", None, "failing") in await hooks.audited()
    hooks.world.clock.advance(DAY)
    await deliverer.work()
    assert {one.status for one in await hooks.deliveries(made)} == {"failed", "skipped"}

    await hooks.service.update(endpoint.id, is_enabled=True, actor="admin")
    hooks.receiver.answer = answering(204)
    hooks.receiver.received.clear()
    assert await hooks.service.replay_undelivered(endpoint.id, since=0, actor="admin") == 2
    await deliverer.work()
    assert {one.status for one in await hooks.deliveries(made)} == {"delivered"}
    assert len(hooks.receiver.received) == 2


async def test_an_endpoint_that_says_it_is_gone_is_disabled_at_once(hooks: Hooks) -> None:
    made = await hooks.listen()
    hooks.receiver.answer = answering(410)
    await hooks.happen()
    await hooks.deliverer().work()
    endpoint = await hooks.service.get(made.endpoint.id)
    assert (endpoint.is_enabled, endpoint.disabled_because) == (False, "gone")


async def test_what_is_queued_for_a_deleted_endpoint_is_skipped(hooks: Hooks) -> None:
    made = await hooks.listen()
    await hooks.happen()
    await hooks.service.delete(made.endpoint.id, actor="admin")
    await hooks.deliverer().work()
    assert hooks.receiver.received == []
    rows = await hooks.world.database.read(
        lambda tx: tx.fetch_all("SELECT status FROM identity_webhook_deliveries")
    )
    assert rows == [("skipped",)]


async def test_a_name_that_leads_inside_is_refused_at_each_delivery(hooks: Hooks) -> None:
    """The URL was fine when it was written down; what its name resolves to is looked at when it is dialled."""
    made = await hooks.listen()
    await hooks.world.database.write(
        lambda tx: tx.execute(
            "UPDATE identity_webhook_endpoints SET url = ?",
            (hooks.receiver.url.replace("hooks.localhost", "localhost"),),
        )
    )
    await hooks.happen()
    await hooks.deliverer().work()
    assert hooks.receiver.received == []
    assert [one.problem for one in await hooks.attempts(made)] == ["address_refused"]


async def test_without_a_secret_that_opens_nothing_is_sent(hooks: Hooks) -> None:
    made = await hooks.listen()
    await hooks.happen()
    await hooks.world.database.write(
        lambda tx: tx.execute("UPDATE identity_webhook_secrets SET sealed = ?", (b"\x01" + b"x" * 60,))
    )
    await hooks.deliverer().work()
    assert hooks.receiver.received == []
    assert [one.problem for one in await hooks.attempts(made)] == ["no_secret"]

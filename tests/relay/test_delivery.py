"""The outbox: jobs that are believed, deliveries that happen once, and what is learnt from each."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from doorward.push import Outcome
from doorward.relay.delivery import jobs
from doorward.relay.delivery.jobs import JobDraft, JobRefused, Target, new_payload, sign_job, verify_job
from doorward.relay.delivery.worker import LEASE_MS, MOST_ATTEMPTS, RETRY_MS, Deliveries
from doorward.relay.devices import store as device_store
from doorward.t3_connect import iso
from tests.relay.notified import Notified, notifying, senders_for
from tests.relay.world import World

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000_000
SECRET = bytes(range(32))


@pytest.fixture
async def notified(world: World, tmp_path: Path) -> AsyncIterator[Notified]:
    async with notifying(world, tmp_path) as running:
        await running.link()
        yield running


# --- a job on its own -----------------------------------------------------------------------------------------

TARGET = Target(user_id="u", device_id="d", platform="ios", token="t")
ALERT = JobDraft(
    kind="push_notification",
    target=TARGET,
    notification=jobs.Alert(title="t", body="b", data={}),
)


def test_a_job_is_what_was_signed() -> None:
    payload = new_payload(ALERT, now=NOW)
    assert verify_job(sign_job(payload, SECRET), SECRET, now=NOW + 599_999) == payload


AGGREGATE = {"title": "t", "subtitle": "s", "activeCount": 0, "updatedAt": "x", "activities": []}
NOTIFICATION = {"title": "t", "body": "b", "data": {}}


@pytest.mark.conformance("connect-relay", 133)
@pytest.mark.parametrize("text", ["not JSON", "{}", "[]"])
def test_what_is_no_job_is_malformed(text: str) -> None:
    with pytest.raises(JobRefused, match="malformed"):
        verify_job(text, SECRET, now=NOW)


@pytest.mark.conformance("connect-relay", 133)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 2}, "malformed"),
        ({"kind": "carrier_pigeon"}, "malformed"),
        ({"target": None}, "malformed"),
        ({"notification": None}, "malformed"),
        ({"aggregate": AGGREGATE}, "malformed"),
        ({"kind": "live_activity_start", "notification": None}, "malformed"),
        ({"kind": "live_activity_update", "aggregate": AGGREGATE}, "malformed"),
        ({"kind": "live_activity_end"}, "malformed"),
        ({"createdAt": "yesterday"}, "dates_unreadable"),
        ({"expiresAt": "tomorrow"}, "dates_unreadable"),
        ({"expiresAt": iso(NOW)}, "dates_inverted"),
        ({"expiresAt": iso(NOW - 1)}, "dates_inverted"),
        ({"expiresAt": iso(NOW + 600_001)}, "window_too_long"),
        ({"createdAt": iso(NOW - 2), "expiresAt": iso(NOW - 1)}, "expired"),
        ({"jobId": "another"}, "signature_invalid"),
        ({"target": {**msgspec.to_builtins(TARGET), "token": "mine"}}, "signature_invalid"),
        ({"notification": {**NOTIFICATION, "title": "x"}}, "signature_invalid"),
        ({"kind": "live_activity_end", "notification": None}, "signature_invalid"),
    ],
)
def test_a_job_that_is_not_what_was_signed_is_refused_by_its_fault(
    changes: dict[str, Any], reason: str
) -> None:
    job = msgspec.json.decode(sign_job(new_payload(ALERT, now=NOW), SECRET))
    job["payload"].update(changes)
    with pytest.raises(JobRefused) as refused:
        verify_job(msgspec.json.encode(job).decode(), SECRET, now=NOW)
    assert refused.value.reason == reason


def test_a_job_signed_by_another_secret_is_refused() -> None:
    with pytest.raises(JobRefused, match="signature_invalid"):
        verify_job(sign_job(new_payload(ALERT, now=NOW), SECRET), bytes(32), now=NOW)


def test_a_jobs_token_is_in_no_representation() -> None:
    assert "secret" not in repr(msgspec.structs.replace(TARGET, token="secret"))


@pytest.mark.conformance("connect-relay", 133)
async def test_a_row_that_was_tampered_with_is_recorded_and_not_sent(notified: Notified) -> None:
    await notified.phone(pushToStartToken=None)
    await notified.publish("waiting_for_input")
    [(job,)] = await notified.world.rows("SELECT job FROM relay_deliveries")
    await notified.world.execute(
        "UPDATE relay_deliveries SET job = ?", str(job).replace("push-phone", "push-other")
    )
    await notified.deliver()
    assert notified.apple() == []
    assert await notified.results() == [("push_notification", "refused", None, "signature_invalid")]


# --- once, and by one -----------------------------------------------------------------------------------------


def another_node(notified: Notified) -> Deliveries:
    """A worker of a second node, over the same rows."""
    mine = notified.world.relay.deliveries
    return Deliveries(
        notified.world.database,
        senders_for(notified.services, notified.services.outbound),
        mine._secret,
        notified.world.clock,
    )


@pytest.mark.conformance("connect-relay", 134)
async def test_workers_of_several_nodes_send_each_delivery_once(notified: Notified) -> None:
    for number in range(12):
        await notified.phone(f"phone-{number}", pushToStartToken=None)
    assert len(await notified.publish("waiting_for_input")) == 12
    workers = [notified.world.relay.deliveries, another_node(notified), another_node(notified)]
    while any(await asyncio.gather(*(worker.work() for worker in workers))):
        pass
    assert sorted(token for token, _ in notified.apple()) == sorted(f"push-phone-{n}" for n in range(12))
    assert {row[1] for row in await notified.results()} == {"sent"}
    # Done is done: what was recorded is not taken again, and what was to be shown is forgotten.
    assert not await another_node(notified).work()
    assert await notified.world.rows("SELECT DISTINCT job FROM relay_deliveries") == [("",)]


@pytest.mark.conformance("connect-relay", 134)
async def test_what_a_dead_worker_held_is_taken_over_when_its_lease_lapses(notified: Notified) -> None:
    await notified.phone(pushToStartToken=None)
    await notified.publish("waiting_for_input")
    now = notified.world.clock()
    await notified.world.execute(
        "UPDATE relay_deliveries SET lease = 'the dead', leased_until = ?, attempts = 1", now + LEASE_MS
    )
    assert not await notified.world.relay.deliveries.work()  # in flight, as far as anybody knows
    notified.world.clock.advance(LEASE_MS)
    assert await notified.world.relay.deliveries.work()
    assert len(notified.apple()) == 1
    assert await notified.results() == [("push_notification", "sent", 200, None)]


async def test_what_a_live_activity_was_still_to_be_told_gives_way_to_the_newest(notified: Notified) -> None:
    """Sent together, the older word could arrive last, and end what has just begun."""
    await notified.phone()
    await notified.begin_activity()  # nothing goes on: it is to end
    await notified.publish("running")
    await notified.deliver()
    [(token, payload)] = notified.apple()
    assert (token, payload["aps"]["event"]) == ("live", "update")
    assert sorted(row[:2] for row in await notified.results()) == [
        ("live_activity_end", "skipped"),
        ("live_activity_update", "sent"),
    ]


async def test_a_worker_whose_lease_was_taken_over_records_nothing(notified: Notified) -> None:
    await notified.phone()
    await notified.publish("running")
    slow, quick = another_node(notified), another_node(notified)
    held, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        async def send(self, *_: Any, **__: Any) -> Outcome:
            held.set()
            await go_on.wait()
            return Outcome(verdict="dead", status=410, reason="Unregistered")

    slow._senders = {"ios": Slow()}
    sending = asyncio.create_task(slow.work())
    await held.wait()
    notified.world.clock.advance(LEASE_MS)
    assert await quick.work()
    go_on.set()
    await sending
    assert await notified.results() == [("live_activity_start", "sent", 200, None)]
    [(start_token,)] = await notified.world.rows("SELECT push_to_start_token FROM relay_mobile_devices")
    assert start_token == "start-phone"


@pytest.mark.conformance("connect-relay", 135)
async def test_a_delivery_to_a_replaced_token_is_skipped(notified: Notified) -> None:
    await notified.phone("phone", pushToken=None)
    await notified.phone("other", pushToStartToken=None)
    assert await notified.publish("waiting_for_input") == [
        ("other", "push_notification"),
        ("phone", "live_activity_start"),
    ]
    await notified.phone("phone", pushToken=None, pushToStartToken="start-anew")
    await notified.phone("other", pushToken="push-anew", pushToStartToken=None)
    await notified.deliver()
    assert notified.apple() == []
    assert {row[1:] for row in await notified.results()} == {("skipped", None, "stale_token")}
    # The start that came to nothing may be queued again.
    assert ("phone", "live_activity_start") in await notified.publish("running", "thread-9")


# --- what is learnt -------------------------------------------------------------------------------------------


@pytest.mark.conformance("connect-relay", 136)
@pytest.mark.parametrize(
    "refusal",
    [
        (410, "Unregistered"),
        (410, "ExpiredToken"),
        (400, "BadDeviceToken"),
        (400, "DeviceTokenNotForTopic"),
        (400, "Unregistered"),
    ],
)
async def test_a_dead_token_is_forgotten(notified: Notified, refusal: tuple[int, str]) -> None:
    world = notified.world
    await notified.phone()
    notified.services.apple.refusals = [refusal]
    await notified.publish("running")
    await notified.deliver()
    assert await world.rows("SELECT push_token, push_to_start_token FROM relay_mobile_devices") == [
        ("push-phone", None)
    ]
    notified.services.apple.refusals = [refusal]
    assert await notified.publish("waiting_for_input") == [("phone", "push_notification")]
    await notified.deliver()
    assert await world.rows("SELECT push_token FROM relay_mobile_devices") == [(None,)]
    await notified.begin_activity()
    notified.services.apple.refusals = [refusal] * 2
    await notified.deliver()
    assert await world.rows("SELECT activity_push_token FROM relay_live_activities") == [(None,)]
    assert {row[1:] for row in await notified.results()} == {("dead", refusal[0], refusal[1])}
    assert await notified.publish("waiting_for_approval") == []


@pytest.mark.conformance("connect-relay", 136)
async def test_a_start_that_failed_for_good_may_be_queued_again(notified: Notified) -> None:
    await notified.phone()
    notified.services.apple.refusals = [(400, "BadTopic")]
    assert await notified.publish("running") == [("phone", "live_activity_start")]
    assert await notified.publish("running", "thread-2") == []
    await notified.deliver()
    assert await notified.results() == [("live_activity_start", "refused", 400, "BadTopic")]
    assert await notified.publish("running", "thread-3") == [("phone", "live_activity_start")]


async def test_a_start_that_nobody_sent_in_time_may_be_queued_again(notified: Notified) -> None:
    await notified.phone()
    await notified.publish("running")
    notified.world.clock.advance(jobs.LIFETIME_MS)
    await notified.deliver()
    assert await notified.results() == [("live_activity_start", "given_up", None, "expired")]
    assert await notified.publish("running", "thread-2") == [("phone", "live_activity_start")]


async def test_a_browsers_ended_subscription_is_forgotten(notified: Notified) -> None:
    await notified.browser()
    notified.services.push.statuses = [410]
    await notified.publish("completed")
    await notified.deliver()
    assert await notified.world.rows("SELECT push_token FROM relay_mobile_devices") == [(None,)]
    assert await notified.publish("failed") == []


@pytest.mark.conformance("connect-relay", 137)
async def test_a_late_update_does_not_revive_an_ended_activity(notified: Notified) -> None:
    world = notified.world
    await notified.begin_activity()
    whose: Any = {"user_id": "user_alice", "device_id": "phone", "aggregate": None}
    for event, ended_at in (("end", NOW + 5), ("update", NOW + 5), ("start", None)):
        at = NOW + {"end": 5, "update": 9, "start": 12}[event]
        await world.database.write(
            lambda tx, event=event, at=at: device_store.mark_delivered(tx, **whose, event=event, now=at)
        )
        assert await world.rows("SELECT ended_at FROM relay_live_activities") == [(ended_at,)]


async def test_a_service_that_is_away_is_tried_again_with_growing_pauses_and_then_given_up(
    notified: Notified,
) -> None:
    await notified.phone(pushToStartToken=None)
    notified.services.apple.refusals = [(503, "ServiceUnavailable")] * MOST_ATTEMPTS
    await notified.publish("waiting_for_input")
    for pause in RETRY_MS:
        await notified.deliver()
        notified.world.clock.advance(pause - 1)
        assert not await notified.world.relay.deliveries.work()
        notified.world.clock.advance(1)
    await notified.deliver()
    assert len(notified.apple()) == MOST_ATTEMPTS
    assert await notified.results() == [("push_notification", "given_up", 503, "ServiceUnavailable")]


async def test_a_service_that_asks_for_patience_gets_it(notified: Notified) -> None:
    await notified.browser()
    notified.services.push.statuses = [429]
    await notified.publish("completed")
    await notified.deliver()
    notified.world.clock.advance(RETRY_MS[0])
    await notified.deliver()
    assert len(notified.services.push.messages) == 1


async def test_the_background_job_delivers_what_is_queued_and_stops_cleanly(notified: Notified) -> None:
    await notified.phone(pushToStartToken=None)
    await notified.world.relay.start()
    await notified.publish("waiting_for_input")
    await notified.services.apple.server.wait_for(1)
    await notified.world.relay.stop()
    await notified.publish("waiting_for_approval")
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "deliveries"]
    [(count,)] = await notified.world.rows("SELECT COUNT(*) FROM relay_deliveries WHERE finished_at IS NULL")
    assert count == 1


async def test_a_publication_that_fails_leaves_neither_state_nor_delivery_nor_used_proof(
    notified: Notified,
) -> None:
    await notified.phone(pushToStartToken=None)
    state = notified.state("waiting_for_input")
    proof = notified.proof(state)
    await notified.world.execute("ALTER TABLE relay_deliveries RENAME TO out_of_reach")
    answer = await notified.post(state, proof=proof)
    assert (answer.status_code, answer.json()["reason"]) == (500, "persistence_failed")
    await notified.world.execute("ALTER TABLE out_of_reach RENAME TO relay_deliveries")
    assert await notified.world.rows("SELECT 1 FROM relay_agent_activity_rows") == []
    assert len((await notified.post(state, proof=proof)).json()["deliveries"]) == 1


async def test_old_records_are_pruned_and_hold_a_suffix_of_the_token_alone(notified: Notified) -> None:
    await notified.phone(pushToken="0123456789abcdef", pushToStartToken=None)
    await notified.publish("completed")
    await notified.deliver()
    [row] = await notified.world.rows("SELECT * FROM relay_deliveries")
    assert "0123456789abcdef" not in str(row)
    assert "89abcdef" in str(row)
    notified.world.clock.advance(8 * 24 * 3_600_000)
    await notified.world.relay.prune()
    assert await notified.world.rows("SELECT 1 FROM relay_deliveries") == []

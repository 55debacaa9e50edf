"""What agents do: who may publish it, and what each device is shown of it."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from doorward.jose import b64url_encode, canonical_json, generate_key
from doorward.relay import RateLimits
from doorward.relay.activity import rules
from doorward.relay.replay.rules import jwt_expiry_ms
from doorward.t3_connect import iso
from doorward.t3_connect.messages import ActivityState, Aggregate
from tests.relay.conftest import OpenWorld
from tests.relay.foreign import Environment
from tests.relay.notified import THREAD, Notified, notifying
from tests.relay.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def notified(world: World, tmp_path: Path) -> AsyncIterator[Notified]:
    async with notifying(world, tmp_path) as running:
        await running.link()
        yield running


@pytest.fixture
async def base(open_wire: OpenWorld, tmp_path: Path) -> AsyncIterator[Notified]:
    """As the original relay of the pull request."""
    async with notifying(await open_wire(strict_base=True), tmp_path) as running:
        await running.link()
        yield running


async def threads(notified: Notified) -> list[str]:
    rows = await notified.world.rows("SELECT thread_id FROM relay_agent_activity_rows ORDER BY thread_id")
    return [row[0] for row in rows]


# --- who may publish ------------------------------------------------------------------------------------------


async def test_the_recorded_publication_is_answered_as_the_real_relay_did(notified: Notified) -> None:
    """The exchange "agent activity: … failing turn", its request as recorded: status, headers and body."""
    answer = await notified.world.http.post(
        f"/v1/environments/env-1/threads/{THREAD}/agent-activity",
        content=msgspec.json.encode({"state": None, "proof": notified.proof(None)}),
        headers={
            "content-type": "application/json",
            "authorization": f"Bearer {notified.credential}",
            "b3": "c18e9c3b287cef1a41ddbf1a01f3b4fd-25a0548f756dc92c-1-47815c59d26e8198",
            "traceparent": "00-c18e9c3b287cef1a41ddbf1a01f3b4fd-25a0548f756dc92c-01",
            "accept": "*/*",
            "user-agent": "node",
        },
    )
    assert (answer.status_code, answer.content) == (200, b'{"ok":true,"deliveries":[]}')
    named = ("content-type", "access-control-allow-origin", "access-control-expose-headers")
    assert [answer.headers[name] for name in named] == [
        "application/json",
        "*",
        "traceparent,www-authenticate",
    ]
    assert answer.headers["traceparent"].split("-")[1] == "c18e9c3b287cef1a41ddbf1a01f3b4fd"


@pytest.mark.conformance("connect-relay", 126)
async def test_a_publication_is_bound_to_its_proof_and_used_once(notified: Notified) -> None:
    state = notified.state()
    proof = notified.proof(state)
    assert (await notified.post(state, proof=proof)).status_code == 200
    again = await notified.post(state, proof=proof)
    assert again.status_code == 401
    assert {**again.json(), "traceId": ""} == {
        "_tag": "RelayAgentActivityPublishProofInvalidError",
        "code": "agent_activity_publish_proof_invalid",
        "reason": "invalid_signature_or_payload",
        "traceId": "",
    }
    pem = notified.world.environment.public_key_pem
    identity = canonical_json({"environmentId": "env-1", "environmentPublicKey": pem})
    digest = hashlib.sha256(identity).digest()
    claims = msgspec.json.decode(base64.urlsafe_b64decode(proof.split(".")[1] + "=="))
    assert await notified.world.rows(
        "SELECT thumbprint, jti, expires_at FROM relay_dpop_proofs WHERE thumbprint LIKE 'env-publish:%'"
    ) == [
        (
            "env-publish:" + b64url_encode(digest),
            claims["jti"],
            jwt_expiry_ms(iat=claims["iat"], exp=claims["exp"]),
        )
    ]


@pytest.mark.conformance("connect-relay", 126)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda n, s: {"proof": n.proof({**s, "headline": "Altered"})},
        lambda n, s: {"proof": n.proof(None)},
        lambda n, s: {"proof": n.proof(s, "another-thread")},
        lambda n, s: {"proof": n.proof(s, environmentId="env-2")},
        lambda n, s: {"proof": n.proof(s, sub="env-2")},
        lambda n, s: {"proof": n.proof(s, iss="t3-env:env-2")},
        lambda n, s: {"proof": n.proof(s, aud="https://elsewhere.test")},
        lambda n, s: {"proof": n.proof(s, iat=n.world.clock() // 1000 - 361)},
        lambda n, s: {"proof": n.proof(s, key=generate_key("EdDSA"))},
        lambda n, s: {"proof": n.proof({**s, "detail": None})},
        lambda n, s: {"proof": n.proof(s, jti="x" * 256)},
        lambda n, s: {"proof": n.proof(s, jti="a\0b")},
        lambda n, s: {"proof": "not.a.proof"},
        lambda n, s: {"proof": n.world.environment.sign(n.world.environment.claims(threadId=THREAD, state=s), "JWT")},
    ],
)  # fmt: skip
async def test_no_other_proof_publishes_anything(base: Notified, spoil: Any) -> None:
    state = base.state()
    answer = await base.post(state, **spoil(base, state))
    assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_signature_or_payload")
    assert await threads(base) == []


@pytest.mark.parametrize("detail", [None, "Step 2 of 3"])
async def test_a_detail_may_be_null_in_the_body_where_it_is_absent_in_the_proof(
    base: Notified, detail: str | None
) -> None:
    signed = base.state() if detail is None else base.state(detail=detail)
    answer = await base.post({**signed, "detail": detail}, proof=base.proof(signed))
    assert answer.status_code == 200


async def test_an_expired_proof_is_told_apart(base: Notified) -> None:
    state = base.state()
    for exp in (base.world.clock() // 1000, 1):
        answer = await base.post(state, proof=base.proof(state, exp=exp))
        assert (answer.status_code, answer.json()["_tag"]) == (
            401,
            "RelayAgentActivityPublishProofExpiredError",
        )


async def test_a_state_of_another_thread_is_refused_although_it_is_signed(base: Notified) -> None:
    for changes in ({"threadId": "thread-2"}, {"environmentId": "env-2"}):
        state = {**base.state(), **changes}
        assert (await base.post(state, proof=base.proof(state))).status_code == 401


@pytest.mark.conformance("connect-relay", 127)
async def test_a_publication_for_another_environment_than_the_credentials_is_refused(
    notified: Notified,
) -> None:
    state = notified.state()
    answer = await notified.post(state, environment_id="env-2")
    assert (answer.status_code, answer.json()["reason"]) == (401, "not_authorized")
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("credential", ["", "t3env_unknown"])
async def test_an_unknown_credential_publishes_nothing(base: Notified, credential: str) -> None:
    answer = await base.post(base.state(), credential=credential or "x")
    assert (answer.status_code, answer.json()["reason"]) == (401, "not_authorized")


@pytest.mark.parametrize(
    "changes",
    [{"phase": "dreaming"}, {"threadTitle": " "}, {"updatedAt": None}, {"deepLink": 5}, {"modelTitle": None}],
)
async def test_what_is_no_state_is_outside_the_schema(base: Notified, changes: dict[str, Any]) -> None:
    answer = await base.post({**base.state(), **changes}, proof="x")
    assert (answer.status_code, answer.content) == (400, b"")
    path = f"/v1/environments/env-1/threads/{THREAD}/agent-activity"
    headers = {"authorization": f"Bearer {base.credential}"}
    assert (await base.world.http.post(path, json={"proof": "x"}, headers=headers)).status_code == 400


async def test_publications_of_an_environment_are_counted(open_wire: OpenWorld, tmp_path: Path) -> None:
    world = await open_wire(rate_limits=RateLimits(publications=2))
    async with notifying(world, tmp_path) as notified:
        await notified.link()
        statuses = [(await notified.post(None)).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]


# --- what is kept ---------------------------------------------------------------------------------------------


@pytest.mark.conformance("connect-relay", 128)
async def test_a_completed_thread_is_forgotten_and_the_activity_ends_with_its_last_state(
    base: Notified,
) -> None:
    await base.phone()
    await base.publish("running")
    await base.begin_activity()
    await base.deliver()
    assert await base.publish("completed") == [("phone", "live_activity_end"), ("phone", "push_notification")]
    assert await threads(base) == []
    await base.deliver()
    [(token, ended)] = [(token, p) for token, p in base.apple() if p["aps"].get("event") == "end"]
    assert token == "live"
    shown = msgspec.json.decode(ended["aps"]["content-state"]["props"])
    assert (shown["subtitle"], shown["activeCount"]) == ("Agent work completed", 0)
    assert [row["status"] for row in shown["activities"]] == ["Done"]


@pytest.mark.conformance("connect-relay", 128)
async def test_a_completed_thread_is_shown_for_half_an_hour_more(notified: Notified) -> None:
    await notified.phone()
    await notified.publish("running")
    await notified.begin_activity()
    await notified.deliver()
    assert ("phone", "live_activity_end") in await notified.publish("failed")
    assert (await snapshot(notified))["subtitle"] == "Agent work failed"
    notified.world.clock.advance(rules.KEEP_TERMINAL_MS - 1)
    await notified.world.relay.prune()
    assert await threads(notified) == [THREAD]
    notified.world.clock.advance(1)
    assert await snapshot(notified) is None
    await notified.world.relay.prune()
    assert await threads(notified) == []


async def test_work_in_progress_is_kept_until_it_is_withdrawn(notified: Notified) -> None:
    await notified.publish("running")
    notified.world.clock.advance(24 * 3_600_000)
    await notified.world.relay.prune()
    assert await threads(notified) == [THREAD]
    await notified.publish(None)
    assert await threads(notified) == []


async def test_the_oldest_of_too_many_threads_gives_way(
    notified: Notified, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "MOST_THREADS", 3)
    for number in range(5):
        notified.world.clock.advance(1)
        await notified.publish("running", f"thread-{number}")
    assert await threads(notified) == ["thread-2", "thread-3", "thread-4"]


async def test_two_accounts_of_one_environment_id_do_not_share_a_rate(
    open_wire: OpenWorld, tmp_path: Path
) -> None:
    world = await open_wire(rate_limits=RateLimits(publications=1))
    async with notifying(world, tmp_path) as notified:
        await notified.link("user_alice")
        alices = notified.credential
        intruder = Environment(world.origin, world.clock)
        linked = await world.link("user_mallory", environment=intruder, managedTunnelsEnabled=False)
        for expected in (401, 429):  # no proof of hers, but each counts
            answer = await notified.post(None, credential=linked["environmentCredential"])
            assert answer.status_code == expected
        assert (await notified.post(None, credential=alices)).status_code == 200


async def snapshot(notified: Notified, query: str = "", user_id: str = "user_alice") -> Any:
    answer = await notified.mobile("GET", "/v1/mobile/agent-activity", user_id=user_id, query=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["aggregate"]


async def test_a_snapshot_shows_work_first_and_leaves_out_what_it_is_told_to(notified: Notified) -> None:
    await notified.publish("completed", "thread-0")
    await notified.publish("running", "thread-1")
    notified.world.clock.advance(1000)
    await notified.publish("waiting_for_input", "thread-2")
    shown = await snapshot(notified)
    assert [row["threadId"] for row in shown["activities"]] == ["thread-2", "thread-1", "thread-0"]
    assert [row["status"] for row in shown["activities"]] == ["Input", "Working", "Done"]
    assert (shown["title"], shown["subtitle"], shown["activeCount"]) == (
        "T3 Code",
        "Agent work in progress",
        2,
    )
    assert shown["updatedAt"] == iso(notified.world.clock())
    answer = await notified.mobile(
        "GET",
        "/v1/mobile/agent-activity",
        query="?excludedEnvironmentIds=env-1&excludedEnvironmentIds=env%202",
    )
    assert answer.json() == {"aggregate": None, "excludedEnvironmentIds": ["env-1", "env 2"]}
    assert await snapshot(notified, "?excludedEnvironmentIds=other&x=1") == shown
    assert await snapshot(notified, user_id="user_bob") is None


@pytest.mark.parametrize("query", ["?excludedEnvironmentIds=", "?" + "excludedEnvironmentIds=a&" * 101])
async def test_blank_or_countless_exclusions_are_outside_the_schema(base: Notified, query: str) -> None:
    answer = await base.mobile("GET", "/v1/mobile/agent-activity", query=query)
    assert (answer.status_code, answer.content) == (400, b"")


# --- what devices are shown -----------------------------------------------------------------------------------


@pytest.mark.conformance("connect-relay", 129)
async def test_a_link_for_notifications_alone_yields_one_push_and_no_live_activity(
    notified: Notified,
) -> None:
    await notified.link(liveActivitiesEnabled=False)
    await notified.phone()
    assert await notified.publish("running") == []
    assert await notified.publish("waiting_for_input") == [("phone", "push_notification")]
    await notified.deliver()
    [(token, payload)] = notified.apple()
    assert token == "push-phone"
    assert payload == {
        "aps": {"alert": {"title": "Mend the door", "body": "Input: Doorward"}, "sound": "default"},
        "environmentId": "env-1",
        "threadId": THREAD,
        "deepLink": f"/threads/{THREAD}",
    }
    assert await snapshot(notified) is None


@pytest.mark.conformance("connect-relay", 129)
async def test_a_live_activity_is_shown_nothing_of_a_link_for_notifications_alone(notified: Notified) -> None:
    await notified.phone()
    await notified.publish("running")
    await notified.begin_activity()
    await notified.deliver()
    await notified.link(liveActivitiesEnabled=False)
    told = len(notified.apple())
    assert await notified.publish("completed") == [
        ("phone", "live_activity_end"),
        ("phone", "push_notification"),
    ]
    await notified.deliver()
    [ended] = [p for token, p in notified.apple()[told:] if token == "live"]
    assert ended["aps"]["event"] == "end"
    assert "content-state" not in ended["aps"]


@pytest.mark.conformance("connect-relay", 130)
async def test_live_activities_switched_off_are_not_started_and_end_when_running(
    notified: Notified,
) -> None:
    await notified.phone("off", preferences={"liveActivitiesEnabled": False})
    await notified.phone("on")
    assert await notified.publish("running") == [("on", "live_activity_start")]
    await notified.begin_activity("on", "live-on")
    await notified.register("on", preferences={"liveActivitiesEnabled": False})
    assert await notified.publish("waiting_for_approval") == [
        ("off", "push_notification"),
        ("on", "live_activity_end"),
        ("on", "push_notification"),
    ]
    await notified.deliver()
    ends = [p for token, p in notified.apple() if token == "live-on" and p["aps"]["event"] == "end"]
    assert ends
    assert all("content-state" not in end["aps"] for end in ends)


@pytest.mark.conformance("connect-relay", 131)
async def test_a_start_that_is_queued_is_not_queued_again(notified: Notified) -> None:
    await notified.phone()
    assert await notified.publish("running") == [("phone", "live_activity_start")]
    assert await notified.publish("running", "thread-2") == []
    await notified.deliver()
    assert await notified.publish("running", "thread-3") == []  # begun; its token is not known yet
    await notified.begin_activity()
    await notified.deliver()
    notified.world.clock.advance(1000)
    assert await notified.publish("running", "thread-4") == [("phone", "live_activity_update")]


async def test_updates_are_spaced_unless_something_waits_for_a_person(notified: Notified) -> None:
    await notified.phone()
    await notified.begin_activity()
    assert await notified.publish("running") == [("phone", "live_activity_update")]
    await notified.deliver()
    assert await notified.publish("running", threadTitle="Changed") == []
    assert await notified.publish("waiting_for_approval") == [("phone", "live_activity_update")]
    await notified.deliver()
    notified.world.clock.advance(rules.SPACING_MS)
    assert await notified.publish("running", threadTitle="Changed") == [("phone", "live_activity_update")]


@pytest.mark.parametrize(
    ("phase", "preference"),
    [
        ("waiting_for_approval", "notifyOnApproval"),
        ("waiting_for_input", "notifyOnInput"),
        ("completed", "notifyOnCompletion"),
        ("failed", "notifyOnFailure"),
    ],
)
async def test_an_alert_comes_where_the_preferences_ask_for_it(
    base: Notified, phase: str, preference: str
) -> None:
    for device, changes in (("a", {}), ("b", {preference: False}), ("c", {"notificationsEnabled": False})):
        await base.phone(device, pushToStartToken=None, preferences=changes)
    assert await base.publish(phase) == [("a", "push_notification")]
    assert await base.publish("starting") == []


async def test_the_same_state_again_alerts_nobody_again(notified: Notified) -> None:
    await notified.phone(pushToStartToken=None)
    state = notified.state("waiting_for_approval")
    for expected in (1, 0):
        answer = await notified.post(state)
        assert len(answer.json()["deliveries"]) == expected
    notified.world.clock.advance(1)
    assert len(await notified.publish("waiting_for_approval")) == 1


async def test_every_account_of_the_same_key_is_told_and_no_other(notified: Notified) -> None:
    await notified.link("user_bob")
    other = Environment(notified.world.origin, notified.world.clock)
    await notified.world.link("user_carol", environment=other, managedTunnelsEnabled=False)
    for user_id in ("user_alice", "user_bob", "user_carol"):
        await notified.phone(f"phone-{user_id}", user_id, pushToStartToken=None)
    await notified.link("user_bob")
    told = await notified.publish("waiting_for_input")
    assert told == [("phone-user_alice", "push_notification"), ("phone-user_bob", "push_notification")]
    answer = await notified.world.http.delete(
        "/v1/client/environment-links/env-1", headers=notified.world.bearer("user_alice")
    )
    assert answer.json() == {"ok": True}
    notified.world.clock.advance(1)
    assert await notified.publish("waiting_for_input") == [("phone-user_bob", "push_notification")]


async def test_android_devices_and_browsers_are_alerted_too(notified: Notified) -> None:
    await notified.register(
        "droid", platform="android", iosMajorVersion=None, androidApiLevel=34, pushToken="f"
    )
    browser = await notified.browser()
    assert await notified.publish("completed") == [
        ("droid", "push_notification"),
        ("laptop", "push_notification"),
    ]
    await notified.deliver()
    [(receiver, message)] = notified.services.push.messages
    assert receiver is browser
    assert message == {
        "title": "Mend the door",
        "body": "Done: Doorward",
        "data": {"environmentId": "env-1", "threadId": THREAD, "deepLink": f"/threads/{THREAD}"},
        "tag": THREAD,
    }
    sent = msgspec.json.decode(notified.services.google.server.received[-1].body)["message"]
    assert (sent["token"], sent["notification"]["title"]) == ("f", "Mend the door")


async def test_a_relay_without_keys_of_apple_takes_everything_and_tells_nobody(
    open_wire: OpenWorld, tmp_path: Path
) -> None:
    world = await open_wire()
    async with notifying(world, tmp_path) as notified:
        await world.restart()  # with the senders its settings ask for: browsers alone
        await notified.link()
        await notified.phone()
        assert await notified.publish("waiting_for_approval") == []


@pytest.mark.conformance("connect-relay", 132)
async def test_titles_are_cut_and_deep_links_are_relative(notified: Notified) -> None:
    await notified.publish(
        "running",
        threadTitle="t" * 300,
        projectTitle="p" * 300,
        modelTitle=("m" * 110) + "   " + "m" * 100,
        deepLink="https://evil.test/",
    )
    [row] = (await snapshot(notified))["activities"]
    assert row["threadTitle"] == "t" * 117 + "..."
    assert row["projectTitle"] == "p" * 117 + "..."
    assert row["modelTitle"] == "m" * 110 + "   mmmm..."
    assert row["deepLink"] == "/"


@pytest.mark.parametrize(
    ("link", "shown"),
    [("/a?b#c", "/a?b#c"), ("//evil.test", "/"), ("a", "/"), ("javascript:x", "/"), ("/" + "x" * 600, "/" + "x" * 508 + "...")],
)  # fmt: skip
def test_a_deep_link_never_leads_to_another_host(link: str, shown: str) -> None:
    assert rules.relative_link(link) == shown


def state_of(number: int, **changes: Any) -> ActivityState:
    whole = {
        "environment_id": "env-1",
        "thread_id": f"thread-{number}",
        "project_title": "p",
        "thread_title": "t",
        "phase": "running",
        "headline": "h",
        "model_title": "m",
        "updated_at": iso(number),
        "deep_link": "/",
    }
    return ActivityState(**{**whole, **changes})


def test_an_aggregate_fits_into_a_notification_however_long_its_titles_are() -> None:
    states = [
        state_of(number, thread_title="✓" * 300, project_title="✓" * 300, model_title="✓" * 300)
        for number in range(9)
    ]
    aggregate = rules.aggregate_of(states)
    assert isinstance(aggregate, Aggregate)
    assert aggregate.active_count == 9
    assert 1 <= len(aggregate.activities) < rules.MOST_ROWS
    assert len(msgspec.json.encode(aggregate)) <= rules.MOST_CONTENT_BYTES


def test_the_original_shows_three_threads_and_we_show_five() -> None:
    states = [state_of(number) for number in range(6)]
    base = rules.live_aggregate(states, None, is_base=True)
    ours = rules.live_aggregate(states, None, is_base=False)
    assert base is not None
    assert ours is not None
    assert (len(base.activities), len(ours.activities)) == (3, 5)

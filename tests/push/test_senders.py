"""Each sender against its service over TLS: what is sent, and what is made of every answer."""

from typing import Any

import msgspec
import pytest

from doorward.jose import generate_key
from doorward.outbound import Outbound
from doorward.push import Alert, LiveActivity, Sender, Subscription, VapidKey, WebPushSender
from doorward.push.apns import ApnsSender, ApnsTarget
from doorward.push.fcm import FcmSender, ServiceAccount
from tests.conftest import ClockForTests
from tests.push.services import Browser, Services

pytestmark = pytest.mark.anyio

ALERT = Alert(title="Ünïcode ✓", body="Approval: Doorward", data={"deepLink": "/t/1"}, tag="thread-1")
START = LiveActivity(event="start", content='{"title":"T3 Code"}', title="T3 Code", body="Working")


def web_sender(services: Services, outbound: Outbound | None = None) -> WebPushSender:
    return WebPushSender(outbound or services.outbound, VapidKey.generate(), contact="mailto:op@example.com")


def target_of(browser: Browser) -> str:
    return Subscription.of(endpoint=browser.endpoint, **browser.subscription["keys"]).to_text()


def apns_sender(services: Services, **changes: Any) -> ApnsSender:
    settings: dict[str, Any] = {
        "key": services.apple.key,
        "key_id": "KEY1234567",
        "team_id": "TEAM123456",
        "bundle_id": "com.example.app",
        "environment": "sandbox",
        "origins": services.apple.origins(),
        **changes,
    }
    return ApnsSender(services.outbound, **settings)


def fcm_sender(services: Services) -> FcmSender:
    account = msgspec.convert(services.google.account(), ServiceAccount)
    return FcmSender(services.outbound, account, api=services.google.origin)


async def sent(sender: Sender, target: str, message: Any, clock: ClockForTests) -> Any:
    return await sender.send(target, message, now=clock(), expires_at=clock() + 600_000)


async def test_a_browser_gets_the_message_its_service_could_not_read(
    services: Services, clock: ClockForTests
) -> None:
    browser = services.push.subscribe()
    outcome = await sent(web_sender(services), target_of(browser), ALERT, clock)
    assert (outcome.verdict, outcome.status) == ("sent", 201)
    assert services.push.faults == []
    assert services.push.messages == [(browser, msgspec.to_builtins(ALERT))]
    assert services.push.contacts == {"mailto:op@example.com"}
    [request] = services.push.server.received
    assert request.headers["ttl"] == "600"
    assert b"Doorward" not in request.body


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(404, "dead"), (410, "dead"), (429, "later"), (500, "later"), (503, "later"), (400, "refused"), (413, "refused"), (301, "refused")],
)  # fmt: skip
async def test_every_answer_of_a_push_service_has_its_meaning(
    services: Services, clock: ClockForTests, status: int, verdict: str
) -> None:
    services.push.statuses = [status]
    outcome = await sent(web_sender(services), target_of(services.push.subscribe()), ALERT, clock)
    assert (outcome.verdict, outcome.status) == (verdict, status)
    assert outcome.retry_after == (1 if status == 429 else None)


@pytest.mark.parametrize(
    "endpoint",
    ["https://localhost/1", "https://127.0.0.1/1", "https://[::1]/1", "https://10.0.0.1/1", "https://169.254.169.254/1", "https://api.push.localhost/1"],
)  # fmt: skip
async def test_an_endpoint_inside_our_own_network_is_given_up_unasked(
    services: Services, clock: ClockForTests, endpoint: str
) -> None:
    outcome = await sent(web_sender(services), target_of(Browser(endpoint)), ALERT, clock)
    assert (outcome.verdict, outcome.status, outcome.reason) == ("dead", None, "address_refused")


async def test_a_service_that_cannot_be_reached_is_tried_later(
    services: Services, clock: ClockForTests
) -> None:
    closed = Browser("https://push.localhost:1/x")
    assert (await sent(web_sender(services), target_of(closed), ALERT, clock)).verdict == "later"


async def test_too_long_a_message_and_a_live_activity_are_nothing_for_a_browser(
    services: Services, clock: ClockForTests
) -> None:
    target = target_of(services.push.subscribe())
    long = msgspec.structs.replace(ALERT, body="x" * 4000)
    for message in (long, START):
        assert (await sent(web_sender(services), target, message, clock)).verdict == "refused"
    assert services.push.server.received == []


async def test_apple_gets_an_alert_in_its_words(services: Services, clock: ClockForTests) -> None:
    target = ApnsTarget(token="a0/b1").to_text()
    outcome = await sent(apns_sender(services), target, ALERT, clock)
    assert (outcome.verdict, outcome.status) == ("sent", 200)
    assert outcome.message_id == "B1B2B3B4-0000-0000-0000-000000000000"
    [request] = services.apple.server.received
    assert request.path == "/3/device/a0%2Fb1"
    named = {name: value for name, value in request.headers.items() if name.startswith("apns-")}
    assert named == {
        "apns-push-type": "alert",
        "apns-topic": "com.example.app",
        "apns-priority": "10",
        "apns-expiration": str((clock() + 600_000) // 1000),
    }
    assert request.headers[":authority"].startswith("api.sandbox.push.localhost")
    assert msgspec.json.decode(request.body) == {
        "aps": {"alert": {"title": "Ünïcode ✓", "body": "Approval: Doorward"}, "sound": "default"},
        "deepLink": "/t/1",
    }


@pytest.mark.parametrize("event", ["start", "update", "end"])
async def test_apple_gets_a_live_activity_in_its_words(
    services: Services, clock: ClockForTests, event: Any
) -> None:
    target = ApnsTarget(token="t", bundle_id="org.fork.app", environment="production").to_text()
    message = msgspec.structs.replace(START, event=event)
    assert (await sent(apns_sender(services), target, message, clock)).verdict == "sent"
    [request] = services.apple.server.received
    headers, now = request.headers, clock() // 1000
    assert headers["apns-push-type"] == "liveactivity"
    assert headers["apns-topic"] == "org.fork.app.push-type.liveactivity"
    assert headers["apns-priority"] == ("5" if event == "update" else "10")
    assert headers[":authority"].startswith("api.push.localhost")
    aps = msgspec.json.decode(request.body)["aps"]
    assert aps["content-state"] == {"name": "AgentActivity", "props": '{"title":"T3 Code"}'}
    assert (aps["timestamp"], aps["event"]) == (now, event)
    assert ("attributes-type" in aps) is (event == "start")
    if event == "start":
        assert (aps["attributes-type"], aps["attributes"], aps["input-push-token"]) == (
            "LiveActivityAttributes",
            {},
            1,
        )
        assert aps["alert"] == {"title": "T3 Code", "body": "Working"}
    assert aps.get("stale-date") == (None if event == "end" else now + 120)
    assert aps.get("dismissal-date") == (now + 300 if event == "end" else None)


async def test_an_end_without_a_last_state_says_none(services: Services, clock: ClockForTests) -> None:
    message = LiveActivity(event="end", content=None, title="", body="")
    await sent(apns_sender(services), ApnsTarget(token="t").to_text(), message, clock)
    [request] = services.apple.server.received
    assert "content-state" not in msgspec.json.decode(request.body)["aps"]


@pytest.mark.parametrize(
    ("status", "reason", "verdict"),
    [
        (410, "Unregistered", "dead"),
        (400, "BadDeviceToken", "dead"),
        (400, "DeviceTokenNotForTopic", "dead"),
        (400, "BadTopic", "refused"),
        (403, "ExpiredProviderToken", "later"),
        (403, "Forbidden", "refused"),
        (429, "TooManyRequests", "later"),
        (503, "ServiceUnavailable", "later"),
    ],
)
async def test_every_answer_of_apple_has_its_meaning(
    services: Services, clock: ClockForTests, status: int, reason: str, verdict: str
) -> None:
    services.apple.refusals = [(status, reason)]
    outcome = await sent(apns_sender(services), ApnsTarget(token="t").to_text(), ALERT, clock)
    assert (outcome.verdict, outcome.status, outcome.reason) == (verdict, status, reason)


async def test_apples_provider_token_is_used_again_for_forty_minutes(
    services: Services, clock: ClockForTests
) -> None:
    sender, target = apns_sender(services), ApnsTarget(token="t").to_text()
    for minutes in (0, 39, 2):
        clock.advance(minutes * 60_000)
        assert (await sent(sender, target, ALERT, clock)).verdict == "sent"
    assert len(services.apple.tokens) == 2


async def test_apple_refuses_a_token_by_another_key(services: Services, clock: ClockForTests) -> None:
    sender = apns_sender(services, key=generate_key("ES256"))
    outcome = await sent(sender, ApnsTarget(token="t").to_text(), ALERT, clock)
    assert (outcome.verdict, outcome.reason) == ("refused", "InvalidProviderToken")


async def test_a_bundle_id_that_is_none_never_becomes_a_header(
    services: Services, clock: ClockForTests
) -> None:
    target = ApnsTarget(token="t", bundle_id="a\r\nb").to_text()
    assert (await sent(apns_sender(services), target, ALERT, clock)).reason == "bundle_id_invalid"
    assert services.apple.server.received == []


async def test_google_gets_an_alert_with_a_token_it_gave(services: Services, clock: ClockForTests) -> None:
    sender = fcm_sender(services)
    for _ in range(2):
        outcome = await sent(sender, "fcm-token", ALERT, clock)
        assert (outcome.verdict, outcome.message_id) == ("sent", "projects/doorward-test/messages/0:1")
    assert [request.path for request in services.google.server.received] == [
        "/token",
        "/v1/projects/doorward-test/messages:send",
        "/v1/projects/doorward-test/messages:send",
    ]
    assert msgspec.json.decode(services.google.server.received[1].body) == {
        "message": {
            "token": "fcm-token",
            "notification": {"title": "Ünïcode ✓", "body": "Approval: Doorward"},
            "data": {"deepLink": "/t/1"},
            "android": {"priority": "HIGH", "ttl": "600s"},
        }
    }


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (404, "UNREGISTERED", "dead"),
        (403, "SENDER_ID_MISMATCH", "dead"),
        (400, "INVALID_ARGUMENT", "refused"),
        (429, "QUOTA_EXCEEDED", "later"),
        (503, "UNAVAILABLE", "later"),
    ],
)
async def test_every_answer_of_google_has_its_meaning(
    services: Services, clock: ClockForTests, status: int, code: str, verdict: str
) -> None:
    services.google.refusals = [(status, code)]
    outcome = await sent(fcm_sender(services), "t", ALERT, clock)
    assert (outcome.verdict, outcome.status, outcome.reason) == (verdict, status, code)


async def test_a_withdrawn_token_of_google_is_asked_for_again(
    services: Services, clock: ClockForTests
) -> None:
    sender = fcm_sender(services)
    await sent(sender, "t", ALERT, clock)
    services.google.valid.clear()
    assert (await sent(sender, "t", ALERT, clock)).verdict == "later"
    assert (await sent(sender, "t", ALERT, clock)).verdict == "sent"


async def test_nothing_secret_is_in_a_representation(services: Services) -> None:
    account = msgspec.convert(services.google.account(), ServiceAccount)
    assert "PRIVATE" not in repr(account)
    assert "0123456789" not in repr(ApnsTarget(token="0123456789abcdef"))

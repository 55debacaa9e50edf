"""The owner's browsers are told that a device asks to be let in: who, when, how often, and what they are told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from doorward.environment.access import MACHINE, Actor, NotAllowed
from doorward.environment.approvals.rules import Client, Knock, requested
from doorward.environment.keys import names
from doorward.environment.notifications import Notifications, rules, service
from doorward.environment.sessions.service import Caller
from doorward.environment.sessions.store import Session
from doorward.push import Subscription, SubscriptionInvalid
from tests.conftest import ClockForTests
from tests.environment.conftest import USER, Device, Machine, MakeMachine
from tests.environment.engines import engine as engine
from tests.push.services import Browser, Services, running_services

pytestmark = pytest.mark.anyio


@pytest.fixture
async def services(anyio_backend: str, tmp_path: Path, clock: ClockForTests) -> AsyncIterator[Services]:
    async with running_services(tmp_path / "tls", clock) as running:
        yield running


@pytest.fixture
async def told(make_machine: MakeMachine, services: Services) -> "Told":
    machine = await make_machine(outbound=services.outbound, remote_admin=True)
    return Told(machine, services)


class Told:
    """A machine, a push service, and the browsers that subscribed."""

    def __init__(self, machine: Machine, services: Services) -> None:
        self.machine = machine
        self.services = services
        self.notifications: Notifications = machine.environment.notifications

    async def owner(self) -> tuple[Actor, Session]:
        """The session of a page opened with a one-time link."""
        environment = self.machine.environment
        token = (await environment.pairing.one_time_link()).partition("#token=")[2]
        issued = await environment.sessions.exchange(
            token,
            method="browser-session-cookie",
            thumbprint=None,
            requested_scopes=None,
            caller=Caller(),
        )
        session = issued.session
        return Actor(door="loopback", name=session.id, scopes=frozenset(session.scopes)), session

    async def administrator(self) -> tuple[Device, Actor, Session]:
        device = self.machine.device()
        await self.machine.admit(device, role="administrator")
        session = await self.machine.environment.authentication.verify_dpop(
            device.token,
            device.proof("GET", "https://x.test/", access_token=device.token),
            method="GET",
            url="https://x.test/",
        )
        actor = Actor(
            door="tunnel",
            name=session.id,
            scopes=frozenset(session.scopes),
            role=session.role,
            is_remote_admin_on=True,
        )
        return device, actor, session

    async def browser(self, who: tuple[Actor, Session] | None = None) -> Browser:
        browser = self.services.push.subscribe()
        await self.notifications.subscribe(*(who or await self.owner()), subscription_of(browser))
        return browser

    async def knock(self, device: Device | None = None, **client: Any) -> Device:
        device = device or self.machine.device()
        answer = await self.machine.ask_mint(device, **({"client": client} if client else {}))
        assert answer.status_code == 200
        return device

    async def messages(self, count: int) -> list[tuple[Browser, Any]]:
        """What browsers were told, once the push service had `count` requests."""
        await self.services.push.server.wait_for(count)
        assert self.services.push.faults == []
        return self.services.push.messages

    async def all_noticed(self) -> None:
        """Every request until now was noticed, whoever was told of it."""
        async with asyncio.timeout(60):
            while await rows(self, "SELECT 1 FROM environment_knock_notices WHERE taken_at IS NULL"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def silence(self) -> None:
        """Nobody is told of what happened until now: one more request is, and it is the only message."""
        await self.all_noticed()
        before = len(self.services.push.server.received)
        browser = await self.browser()
        await self.knock(label="The marker")
        [*_, (receiver, last)] = await self.messages(before + 1)
        assert receiver is browser
        assert "The marker" in last["body"]
        assert len(self.services.push.server.received) == before + 1


def subscription_of(browser: Browser) -> Subscription:
    return Subscription.of(endpoint=browser.endpoint, **browser.subscription["keys"])


async def test_every_subscribed_browser_is_told_once_of_a_device_that_begins_to_wait(told: Told) -> None:
    browsers = [await told.browser(), await told.browser()]
    device = await told.knock(label="  Anna's\n phone ", deviceType="mobile")
    messages = await told.messages(2)
    assert {id(receiver) for receiver, _ in messages} == {id(browser) for browser in browsers}
    assert [message for _, message in messages] == [
        {
            "title": "A device asks to be let in",
            "body": "“Anna's phone” asks for Box. Compare its six words before you approve it.",
            "data": {},
            "tag": "doorward-knock",
        }
    ] * 2
    for _ in range(3):  # a waiting device asks again and again
        await told.knock(device)
    await told.knock(label="Another")
    assert len(await told.messages(4)) == 4
    assert "Another" in told.services.push.messages[-1][1]["body"]


async def test_a_device_that_was_revoked_and_asks_again_is_a_new_request(told: Told) -> None:
    await told.browser()
    device = await told.knock()
    await told.messages(1)
    approvals = told.machine.environment.approvals
    await approvals.reject(MACHINE, device.thumbprint)
    await told.knock(device)  # a rejected device that asks again is not waiting
    await approvals.revoke(MACHINE, device.thumbprint)
    told.machine.clock.advance(1000)
    await told.knock(device)
    assert len(await told.messages(2)) == 2


async def test_the_push_service_sees_nothing_of_the_request_and_whom_to_ask_is_the_relay(told: Told) -> None:
    await told.browser()
    device = await told.knock(label="Secret phone")
    await told.messages(1)
    [request] = told.services.push.server.received
    for word in (b"Secret", b"Box", device.thumbprint.encode(), USER.encode()):
        assert word not in request.body
        assert word.decode() not in str(request.headers)
    assert told.services.push.contacts == {"https://relay.example.test"}


async def test_in_account_mode_nobody_waits_and_nobody_is_told(told: Told) -> None:
    await told.browser()
    await told.machine.environment.approvals.set_mode(MACHINE, "account")
    await told.knock(label="Let in anyway")
    await told.machine.environment.approvals.set_mode(MACHINE, "client-approval")
    await told.knock(label="Waits")
    [(_, message)] = await told.messages(1)
    assert "Waits" in message["body"]


async def test_a_session_that_ended_is_told_nothing_more(told: Told) -> None:
    owner = await told.owner()
    await told.browser(owner)
    await told.machine.environment.sessions.end(owner[1].id, by=MACHINE)
    await told.knock()
    await told.silence()


async def test_a_session_that_ran_out_is_told_nothing_more(told: Told) -> None:
    owner = await told.owner()
    await told.browser(owner)
    told.machine.clock.advance(owner[1].expires_at - told.machine.clock())
    await told.knock()
    await told.silence()


async def test_an_administrator_device_is_told_while_it_is_one(told: Told) -> None:
    device, actor, session = await told.administrator()
    browser = await told.browser((actor, session))
    # Its session of an hour ends, its approval does not: it may open the page again with its key alone.
    told.machine.clock.advance(2 * 3_600_000)
    await told.knock(label="First")
    [(receiver, _)] = await told.messages(1)
    assert receiver is browser
    await told.machine.environment.approvals.approve(MACHINE, device.thumbprint, role="standard")
    await told.knock(label="Second")
    await told.silence()


async def test_a_revoked_administrator_device_is_told_nothing_more(told: Told) -> None:
    device, actor, session = await told.administrator()
    await told.browser((actor, session))
    await told.machine.environment.approvals.revoke(MACHINE, device.thumbprint)
    await told.knock()
    await told.silence()


async def test_without_remote_administration_no_device_is_told(
    make_machine: MakeMachine, services: Services, told: Told
) -> None:
    """The owner turned it off; the row of the time before stays and counts for nothing."""
    _, actor, session = await told.administrator()
    await told.browser((actor, session))
    environment = told.machine.environment
    strict = Notifications(
        environment.database,
        environment.clock,
        environment.secrets,
        services.outbound,
        machine="Box",
        contact=None,
        is_remote_admin_on=False,
    )
    environment.notifications = told.notifications = strict
    await restart_watching(told)
    await told.knock()
    await told.silence()


async def restart_watching(told: Told) -> None:
    """As after a restart of the agent with other settings."""
    environment = told.machine.environment
    for task in environment._tasks:
        if task.get_name() == "notifications":
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    is_watching = asyncio.Event()
    environment._tasks.append(asyncio.create_task(told.notifications.watch(is_watching)))
    await is_watching.wait()


@pytest.mark.parametrize(
    "actor",
    [
        Actor(door="loopback", name="s", scopes=frozenset({"access:read"})),
        Actor(door="tunnel", name="s", scopes=frozenset({"access:write"})),
        Actor(door="elsewhere", name="s", scopes=frozenset({"access:write"})),
    ],
)
async def test_whoever_may_not_decide_is_not_told_either(told: Told, actor: Actor) -> None:
    _, session = await told.owner()
    subscription = subscription_of(told.services.push.subscribe())
    with pytest.raises(NotAllowed):
        await told.notifications.subscribe(actor, session, subscription)
    with pytest.raises(NotAllowed):
        await told.notifications.unsubscribe(actor, subscription.endpoint)
    with pytest.raises(NotAllowed):
        told.notifications.application_server_key(actor)
    await told.knock()
    await told.silence()


async def test_a_browser_that_unsubscribed_is_told_nothing_more(told: Told) -> None:
    owner = await told.owner()
    browser = await told.browser(owner)
    assert await told.notifications.unsubscribe(owner[0], browser.endpoint)
    assert not await told.notifications.unsubscribe(owner[0], browser.endpoint)
    await told.knock()
    await told.silence()


async def test_a_subscription_that_is_gone_is_forgotten(told: Told) -> None:
    await told.browser()
    told.services.push.statuses = [410]
    await told.knock()
    await told.services.push.server.wait_for(1)
    async with asyncio.timeout(60):
        while await rows(told, "SELECT 1 FROM environment_push_subscriptions"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def rows(told: Told, sql: str) -> list[tuple[Any, ...]]:
    return await told.machine.environment.database.read(lambda tx: tx.fetch_all(sql))


async def test_a_push_service_that_is_away_is_asked_again(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "RETRY_SECONDS", (0.01, 0.01))
    await told.browser()
    told.services.push.statuses = [503, 500]
    await told.knock()
    [_] = await told.messages(3)


async def test_what_was_decided_meanwhile_is_not_told(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "RETRY_SECONDS", (0.01,))
    await told.browser()
    push = told.services.push
    push.statuses = [503]
    push.server.may_answer.clear()
    device = await told.knock()
    await push.server.wait_for(1)
    await told.machine.environment.approvals.approve(MACHINE, device.thumbprint)
    push.server.may_answer.set()
    async with asyncio.timeout(60):
        while told.notifications._sending:  # noqa: ASYNC110 - until it has looked again, and given up
            await asyncio.sleep(0.01)
    assert len(push.server.received) == 1


async def test_requests_nobody_was_told_of_are_told_at_the_next_start(told: Told) -> None:
    for task in told.machine.environment._tasks:
        if task.get_name() == "notifications":
            task.cancel()
    await told.browser()
    await told.knock(label="While away")
    await restart_watching(told)
    [(_, message)] = await told.messages(1)
    assert "While away" in message["body"]


async def test_a_flood_of_requests_is_told_of_six_times_in_ten_minutes(told: Told) -> None:
    await told.browser()
    for number in range(rules.MOST_IN_WINDOW + 5):
        told.machine.clock.advance(1)
        await told.knock(label=f"Device {number}")
    await told.all_noticed()
    assert len(await told.messages(rules.MOST_IN_WINDOW)) == rules.MOST_IN_WINDOW
    told.machine.clock.advance(rules.WINDOW_MS + 60_000)
    await told.knock(label="Much later")
    [*_, (_, last)] = await told.messages(rules.MOST_IN_WINDOW + 1)
    assert "Much later" in last["body"]


async def test_the_oldest_of_too_many_subscriptions_gives_way(told: Told) -> None:
    owner = await told.owner()
    first = await told.browser(owner)
    for _ in range(rules.MAX_SUBSCRIPTIONS):
        told.machine.clock.advance(1)
        await told.browser(owner)
    kept = await rows(told, "SELECT subscription FROM environment_push_subscriptions")
    assert len(kept) == rules.MAX_SUBSCRIPTIONS
    assert first.endpoint not in str(kept)


async def test_the_key_is_a_secret_file_and_the_same_after_a_restart(told: Told) -> None:
    actor, _ = await told.owner()
    key = told.notifications.application_server_key(actor)
    stored = told.machine.environment.secrets.get_text(names.VAPID_KEY)
    assert stored is not None
    assert "PRIVATE KEY" in stored
    environment = told.machine.environment
    again = Notifications(
        environment.database,
        environment.clock,
        environment.secrets,
        environment.outbound,
        machine="Box",
        contact=None,
        is_remote_admin_on=False,
    )
    assert again.application_server_key(actor) == key


async def test_subscribing_is_in_the_audit_trail_without_the_address_of_the_browser(told: Told) -> None:
    owner = await told.owner()
    told.machine.clock.advance(1)
    browser = await told.browser(owner)
    told.machine.clock.advance(1)
    await told.notifications.unsubscribe(owner[0], browser.endpoint)
    trail = await told.machine.environment.audit.recent()
    actions = [entry.action for entry in trail[:2]]
    assert actions == ["notifications.unsubscribe", "notifications.subscribe"]
    assert browser.endpoint not in str(trail)


def client(label: str | None) -> Client:
    return requested(None, Knock(thumbprint="t", cloud_user_id=USER, label=label), 1)


def test_a_long_label_is_cut_and_a_missing_one_is_said_to_be_missing() -> None:
    long = rules.alert_for(client("x" * 200), "Box").body
    assert "x" * 59 + "…”" in long
    assert "x" * 60 not in long
    assert rules.alert_for(client(None), "Box").body.startswith("A device without a name asks for Box.")


def test_no_subscription_is_made_of_a_text_that_is_none() -> None:
    with pytest.raises(SubscriptionInvalid):
        Subscription.from_text("not a subscription")

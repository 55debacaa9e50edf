"""The background job that empties the outbox. Any number of nodes may run one."""

import asyncio
import logging
import secrets

from doorward.metering import RELAY_DELIVERIES
from doorward.push import Outcome
from doorward.relay.delivery import store
from doorward.relay.delivery.jobs import JobPayload, JobRefused, live_event_of, verify_job
from doorward.relay.delivery.senders import Senders, address_of, message_of
from doorward.relay.delivery.store import TakenDelivery
from doorward.relay.devices import store as device_store
from doorward.store import Clock, Database, Rounds, StoreError, Tx

logger = logging.getLogger("doorward.relay")

LEASE_MS = 60_000
"""Far longer than a request may take: only a worker that died leaves a delivery to another."""

MOST_AT_ONCE = 10
MOST_ATTEMPTS = 6
RETRY_MS = (5_000, 15_000, 30_000, 60_000, 120_000)
LOOK_AGAIN_S = 5.0
STOP_GRACE_S = 5.0


class Deliveries:
    """`start` to `stop`; `work` does once what there is."""

    def __init__(self, database: Database, senders: Senders, secret: bytes, clock: Clock) -> None:
        self._database = database
        self._senders = senders
        self._secret = secret
        self._clock = clock
        self._rounds = Rounds(
            database, store.CHANNEL, self._work_or_warn, look_again_s=LOOK_AGAIN_S, name="deliveries"
        )

    async def start(self) -> None:
        """Begin; returns once whatever is added from now on is noticed."""
        await self._rounds.start()

    async def stop(self) -> None:
        """Take nothing more, and give what is being sent a few seconds; the rest is for the next start."""
        await self._rounds.stop(grace_s=STOP_GRACE_S)

    async def _work_or_warn(self) -> bool:
        try:
            return await self.work()
        except StoreError as error:
            logger.warning("Deliveries wait for the database: %s", error.code)
        return False

    async def work(self) -> bool:
        """Take what is due, up to ten, and see each through. False when nothing was due."""
        lease, now = secrets.token_hex(16), self._clock()
        taken = await self._database.write(
            lambda tx: store.take(
                tx,
                dialect=self._database.dialect,
                lease=lease,
                leased_until=now + LEASE_MS,
                now=now,
                most=MOST_AT_ONCE,
            )
        )
        results = await asyncio.gather(
            *(self._deliver(delivery) for delivery in taken), return_exceptions=True
        )
        for result in results:
            if isinstance(result, StoreError):
                raise result
            if isinstance(result, Exception):
                # Its lease lapses, and it is tried again until it expires.
                logger.error("A delivery failed: %s", type(result).__name__, exc_info=result)
        return bool(taken)

    async def _deliver(self, delivery: TakenDelivery) -> None:
        try:
            payload = verify_job(delivery.job, self._secret, now=self._clock())
        except JobRefused as refused:
            logger.warning("Delivery %s is refused: %s", delivery.id, refused.reason)
            await self._refuse(delivery, refused)
            return
        sender = self._senders.get(payload.target.platform)
        if sender is None:
            await self._finish(delivery, payload, "refused", None, "no_sender")
            return
        if not await self._database.read(lambda tx: is_current(tx, payload)):
            await self._finish(delivery, payload, "skipped", None, "stale_token")
            return
        outcome = await sender.send(
            address_of(payload),
            message_of(payload),
            now=self._clock(),
            expires_at=payload.expires_at_ms,
        )
        await self._settle(delivery, payload, outcome)

    async def _refuse(self, delivery: TakenDelivery, refused: JobRefused) -> None:
        """Nothing that is in a refused job is believed; a start that never came may be queued again."""
        now = self._clock()
        result: store.Result = "given_up" if refused.reason == "expired" else "refused"

        def write(tx: Tx) -> None:
            store.finish(tx, delivery, result=result, outcome=None, reason=refused.reason, now=now)
            if delivery.kind == "live_activity_start":
                device_store.clear_start_queued(
                    tx, user_id=delivery.user_id, device_id=delivery.device_id, now=now
                )

        await self._database.write(write)

    async def _settle(self, delivery: TakenDelivery, payload: JobPayload, outcome: Outcome) -> None:
        if outcome.verdict != "later":
            await self._finish(delivery, payload, outcome.verdict, outcome, outcome.reason)
            return
        now = self._clock()
        pause = max(RETRY_MS[min(delivery.attempts, len(RETRY_MS)) - 1], (outcome.retry_after or 0) * 1000)
        if delivery.attempts >= MOST_ATTEMPTS or now + pause >= payload.expires_at_ms:
            await self._finish(delivery, payload, "given_up", outcome, outcome.reason)
            return
        await self._database.write(
            lambda tx: store.put_back(tx, delivery, not_before=now + pause, outcome=outcome)
        )

    async def _finish(
        self,
        delivery: TakenDelivery,
        payload: JobPayload,
        result: store.Result,
        outcome: Outcome | None,
        reason: str | None,
    ) -> None:
        """Record the end and what follows from it for the device, together or not at all."""
        now = self._clock()

        def write(tx: Tx) -> bool:
            is_mine = store.finish(tx, delivery, result=result, outcome=outcome, reason=reason, now=now)
            if is_mine:
                _draw_consequences(tx, payload, result, now)
            return is_mine

        if await self._database.write(write):
            RELAY_DELIVERIES.add(payload.target.platform, result)


def is_current(tx: Tx, payload: JobPayload) -> bool:
    """Whether the token the job was made for is still the one that reaches this device for this purpose."""
    target = payload.target
    devices = device_store.list_reachable(tx, target.user_id, target.device_id)
    if payload.kind == "push_notification":
        return any(device.push_token == target.token for device in devices)
    if payload.kind == "live_activity_start":
        return any(device.push_to_start_token == target.token for device in devices)
    return any(device.live.push_token == target.token for device in devices)


def _draw_consequences(tx: Tx, payload: JobPayload, result: store.Result, now: int) -> None:
    """What a device shows, or that a token is dead, is known from here on."""
    whose = {"user_id": payload.target.user_id, "device_id": payload.target.device_id}
    event = live_event_of(payload.kind)
    if result == "sent":
        if event is not None:
            device_store.mark_delivered(tx, **whose, event=event, aggregate=payload.aggregate, now=now)
    elif result == "dead" and is_current(tx, payload):
        if event is None:
            device_store.forget_push_token(tx, **whose, now=now)
        elif event == "start":
            device_store.forget_start_token(tx, **whose, now=now)
        else:
            device_store.forget_activity_token(tx, **whose, now=now)
    elif event == "start":
        # It may be queued again with the next publication.
        device_store.clear_start_queued(tx, **whose, now=now)

"""The background job that sends what is due. Any number of nodes may run one.

A delivery is taken under a lease that lapses, so a node that dies loses nothing and two nodes never hold the same one.
Whoever lost its lease records nothing. What was sent but not recorded is sent again: at least once.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections import Counter

import msgspec
from msgspec.structs import replace

from doorward.identity.audit import store as audit
from doorward.identity.identifiers import new_id
from doorward.identity.webhooks import deliveries, endpoints, rules
from doorward.identity.webhooks.deliveries import Attempt, Event, Taken
from doorward.identity.webhooks.endpoints import DisabledBecause, Endpoint, Secret
from doorward.identity.webhooks.json_text import json_text
from doorward.metering import WEBHOOK_ATTEMPTS
from doorward.outbound import Outbound, OutboundError
from doorward.store import Clock, Database, Rounds, SealBroken, Sealer, StoreError, Tx
from doorward.webhook_signing import key_of, signed_headers

_log = logging.getLogger("doorward.identity.webhooks")

TIMEOUT_S = 15.0
LEASE_MS = 60_000
"""Far longer than a request may take: only a node that died leaves a delivery to another."""

MOST_AT_ONCE = 16
MOST_PER_ENDPOINT = 4
"""So that an endpoint that never answers cannot keep the others waiting."""

MAX_ANSWER_BYTES = 65_536
KEPT_CHARACTERS = 1_024
LOOK_AGAIN_S = 5.0
STOP_GRACE_S = 5.0
_USER_AGENT = "Doorward-Webhooks/1"


class _HttpRequest(msgspec.Struct, frozen=True):
    client_ip: str
    user_agent: str


class _Attributes(msgspec.Struct, frozen=True):
    http_request: _HttpRequest


class Envelope(msgspec.Struct, frozen=True):
    """What is sent. `timestamp` in milliseconds."""

    data: msgspec.Raw
    event_attributes: _Attributes
    instance_id: str
    object: str
    timestamp: int
    type: str


class Deliverer:
    """`start` to `stop`; `work` does once what there is.

    `outbound` decides, by its private hosts, which URLs inside one's own network may be called. `timeout`: seconds for a whole request.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        outbound: Outbound,
        clock: Clock,
        *,
        instance_id: str,
        timeout: float = TIMEOUT_S,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._outbound = outbound
        self._clock = clock
        self._instance_id = instance_id
        self._timeout = timeout
        self._in_flight: dict[asyncio.Task[None], str] = {}
        self._rounds = Rounds(
            database, deliveries.CHANNEL, self._take_or_warn, look_again_s=LOOK_AGAIN_S, name="webhooks"
        )

    async def start(self) -> None:
        """Begin; returns once whatever is queued from now on is noticed."""
        await self._rounds.start()

    async def stop(self) -> None:
        """Take nothing more, and give what is being sent a few seconds; the rest is for the next start."""
        await self._rounds.stop()
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=STOP_GRACE_S)
        late = list(self._in_flight)
        for request in late:
            request.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def work(self) -> bool:
        """Take what is due and see it through. False when nothing was due."""
        taken = await self._take_and_send()
        if taken:
            await asyncio.gather(*self._in_flight)
        return taken

    async def _take_or_warn(self) -> bool:
        try:
            return await self._take_and_send()
        except StoreError as error:
            _log.warning("webhooks wait for the database: %s", error.code)
        except Exception:
            # One row that cannot be read must not end the job for all the others.
            _log.exception("webhooks could not be taken; it is tried again")
        return False

    async def _take_and_send(self) -> bool:
        """Fill the free places with what is due; each is sent by a task of its own."""
        busy = Counter(self._in_flight.values())
        free = MOST_AT_ONCE - len(self._in_flight)
        if free <= 0:
            return False
        taken = await self._database.write(lambda tx: self._take(tx, busy, free))
        for one in taken:
            task = asyncio.create_task(self._send_and_record(one))
            self._in_flight[task] = one.endpoint_id
            task.add_done_callback(self._ended)
        return bool(taken)

    def _take(self, tx: Tx, busy: Counter[str], free: int) -> list[Taken]:
        now = self._clock()
        held = Counter(busy)
        full = [endpoint_id for endpoint_id, count in held.items() if count >= MOST_PER_ENDPOINT]
        taken: list[Taken] = []
        for delivery_id, endpoint_id in deliveries.due(
            tx, dialect=self._database.dialect, but=full, now=now, most=4 * MOST_AT_ONCE
        ):
            if len(taken) < free and held[endpoint_id] < MOST_PER_ENDPOINT:
                held[endpoint_id] += 1
                lease = secrets.token_hex(16)
                taken.append(deliveries.lease(tx, delivery_id, lease=lease, leased_until=now + LEASE_MS))
        return taken

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._in_flight.pop(task, None)
        self._rounds.wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease lapses, and it is tried again.
            _log.error("a webhook failed: %s", type(error).__name__, exc_info=error)

    async def _send_and_record(self, taken: Taken) -> None:
        def find(tx: Tx) -> tuple[Endpoint | None, list[Secret]]:
            endpoint = endpoints.find(tx, taken.endpoint_id)
            return endpoint, endpoints.secrets_of(tx, taken.endpoint_id, self._clock())

        endpoint, sealed = await self._database.read(find)
        if endpoint is None or not endpoint.is_enabled:
            now = self._clock()
            await self._database.write(lambda tx: deliveries.finish(tx, taken, status="skipped", now=now))
            WEBHOOK_ATTEMPTS.add("skipped")
            return
        try:
            keys = [
                key_of(self._sealer.open(one.sealed, context=rules.secret_context(one.id)).decode())
                for one in sealed
            ]
        except SealBroken as error:
            # An unsigned delivery would teach receivers not to look.
            _log.error("the secret of webhook endpoint %s does not open: %s", endpoint.id, error)
            keys = []
        attempt = await self._attempt(taken, endpoint, keys) if keys else self._unsigned(taken)
        await self._record(taken, attempt)

    async def _attempt(self, taken: Taken, endpoint: Endpoint, keys: list[bytes]) -> Attempt:
        """One request. Never raises what the other side can cause."""
        body = self.body_of(taken.event)
        at, began = self._clock(), time.monotonic()
        headers = {
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            **signed_headers(keys, taken.event.id, at // 1000, body),
        }
        status, problem, answer = None, None, b""
        try:
            response = await self._outbound.request(
                "POST",
                endpoint.url,
                headers=headers,
                body=body,
                timeout=self._timeout,
                max_bytes=MAX_ANSWER_BYTES,
                public_only=True,
            )
            status, answer = response.status, response.body
        except OutboundError as error:
            problem = error.code
        return Attempt(
            id=new_id("atmpt"),
            delivery_id=taken.id,
            at=at,
            duration_ms=round((time.monotonic() - began) * 1000),
            status=status,
            problem=problem,
            body=_readable(answer),
        )

    def _unsigned(self, taken: Taken) -> Attempt:
        return Attempt(new_id("atmpt"), taken.id, self._clock(), 0, None, "no_secret", "")

    def body_of(self, event: Event) -> bytes:
        """The same bytes at every attempt."""
        return json_text(
            Envelope(
                data=msgspec.Raw(event.data.encode()),
                event_attributes=_Attributes(_HttpRequest(event.client_ip, event.user_agent)),
                instance_id=self._instance_id,
                object="event",
                timestamp=event.created_at,
                type=event.kind,
            )
        ).encode()

    async def _record(self, taken: Taken, attempt: Attempt) -> None:
        now, draw = self._clock(), random.random()  # noqa: S311  (a pause is no secret)

        def write(tx: Tx) -> rules.Verdict | None:
            endpoint = endpoints.find(tx, taken.endpoint_id)
            failing_since = None if endpoint is None else endpoint.failing_since
            verdict = rules.verdict(
                status=attempt.status, attempts=taken.attempts, failing_since=failing_since, now=now
            )
            if not self._settle(tx, taken, verdict, now, draw):
                return None
            deliveries.insert_attempt(tx, attempt)
            if endpoint is not None:
                _draw_consequences(tx, endpoint, verdict, now)
            return verdict

        verdict = await self._database.write(write)
        if verdict is not None:
            WEBHOOK_ATTEMPTS.add("delivered" if verdict == "delivered" else "failed")
        if verdict in ("failed_and_disabled", "gone"):
            _log.warning("webhook endpoint %s is disabled: %s", taken.endpoint_id, verdict)

    def _settle(self, tx: Tx, taken: Taken, verdict: rules.Verdict, now: int, draw: float) -> bool:
        """False when the delivery is somebody else's by now."""
        if verdict == "retry":
            return deliveries.put_back(tx, taken, not_before=now + rules.pause_ms(taken.attempts, draw))
        status: deliveries.DeliveryStatus = "delivered" if verdict == "delivered" else "failed"
        return deliveries.finish(tx, taken, status=status, now=now)


def _draw_consequences(tx: Tx, endpoint: Endpoint, verdict: rules.Verdict, now: int) -> None:
    """How an endpoint stands after an attempt: well again, failing, or disabled, which an administrator can undo."""
    if verdict == "delivered":
        endpoints.set_failing_since(tx, endpoint.id, None)
        return
    if verdict not in ("gone", "failed_and_disabled"):
        endpoints.set_failing_since(tx, endpoint.id, now)
        return
    because: DisabledBecause = "gone" if verdict == "gone" else "failing"
    if endpoint.is_enabled:
        disabled = replace(endpoint, is_enabled=False, disabled_because=because, updated_at=now)
        endpoints.change(tx, disabled)
        audit.record(
            tx, now=now, actor=None, action="webhook_endpoint.disabled", object_id=endpoint.id, detail=because
        )


def _readable(answer: bytes) -> str:
    """The beginning of an answer, for a person; PostgreSQL's text takes no NUL."""
    return answer[: 4 * KEPT_CHARACTERS].decode("utf-8", "replace").replace("\0", "\ufffd")[:KEPT_CHARACTERS]

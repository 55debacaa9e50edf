"""Subscribing a browser, and telling those that may decide."""

import asyncio
import logging
from collections.abc import Coroutine

import msgspec

from doorward.environment.access import Action, Actor, require
from doorward.environment.approvals import store as client_store
from doorward.environment.approvals.rules import Client
from doorward.environment.audit import record
from doorward.environment.keys import SecretStore, SecretStoreFailed, names
from doorward.environment.notifications import rules, store
from doorward.environment.sessions.store import Session
from doorward.jose import JoseError
from doorward.outbound import Outbound
from doorward.push import Alert, Subscription, VapidKey, WebPushSender, contact_at
from doorward.store import Clock, Database, StoreError, Tx

log = logging.getLogger(__name__)

RETRY_SECONDS = (5.0, 30.0, 120.0)
"""A push service that is away is asked again after these; then the page has to do."""


class _Job(msgspec.Struct, frozen=True):
    notice: store.Notice
    alert: Alert
    recipients: list[tuple[str, str]]


class Notifications:
    """Raises NotAllowed (who may decide), StoreError, SecretStoreFailed."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        secrets: SecretStore,
        outbound: Outbound,
        *,
        machine: str,
        contact: str | None,
        is_remote_admin_on: bool,
    ) -> None:
        """`machine` is its name to people. `contact` is an origin whose operator a push service may turn to."""
        self._database = database
        self._clock = clock
        self._secrets = secrets
        self._outbound = outbound
        self._machine = machine
        # No address of the owner goes to a third party.
        self._contact = contact_at(contact)
        self._is_remote_admin_on = is_remote_admin_on
        self._key: VapidKey | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def application_server_key(self, actor: Actor) -> str:
        """What a browser subscribes with."""
        require(actor, Action.APPROVE_STANDARD)
        return self._vapid_key().public

    async def subscribe(self, actor: Actor, session: Session, subscription: Subscription) -> None:
        """Tell this browser from now on, for as long as `session` (or its device) may decide."""
        require(actor, Action.APPROVE_STANDARD)
        is_device = session.thumbprint is not None
        subscriber = store.Subscriber(
            session_id=None if is_device else session.id, thumbprint=session.thumbprint
        )
        now = self._clock()

        def write(tx: Tx) -> None:
            # A page says it again whenever it is opened.
            if store.subscribe(tx, subscription, subscriber, now=now, most=rules.MAX_SUBSCRIPTIONS):
                record(tx, actor, "notifications.subscribe", subscription.origin, now=now)

        await self._database.write(write)

    async def unsubscribe(self, actor: Actor, endpoint: str) -> bool:
        """False when this endpoint was not subscribed."""
        require(actor, Action.APPROVE_STANDARD)
        now = self._clock()

        def write(tx: Tx) -> bool:
            is_removed = store.unsubscribe(tx, endpoint)
            if is_removed:
                record(tx, actor, "notifications.unsubscribe", "", now=now)
            return is_removed

        return await self._database.write(write)

    async def watch(self, is_watching: asyncio.Event) -> None:
        """Tell of every request that begins to wait, until cancelled; first of those nobody was told of."""
        try:
            async with self._database.subscribe(store.CHANNEL) as requests:
                is_watching.set()
                await self._tell_all()
                async for _ in requests:
                    await self._tell_all()
        finally:
            sending, self._sending = self._sending, set()
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    async def _tell_all(self) -> None:
        try:
            while (job := await self._database.write(self._take)) is not None:
                for endpoint_hash, text in job.recipients:
                    self._start(self._tell(job, endpoint_hash, text))
        except StoreError as error:
            log.warning("nobody could be told of a waiting device: %s", error.code)

    def _take(self, tx: Tx) -> _Job | None:
        """The next notice with whom to tell what; a job without recipients is a notice that needs no telling."""
        now = self._clock()
        told = store.count_taken(tx, since=now - rules.WINDOW_MS)
        notice = store.take_notice(tx, now=now)
        if notice is None:
            return None
        client = self._waiting(tx, notice)
        if client is None or not rules.may_tell(told):
            return _Job(notice, Alert(title="", body="", data={}), [])
        recipients = store.recipients(tx, now=now, is_remote_admin_on=self._is_remote_admin_on)
        return _Job(notice, rules.alert_for(client, self._machine), recipients)

    def _waiting(self, tx: Tx, notice: store.Notice) -> Client | None:
        client = client_store.find(tx, notice.thumbprint)
        return client if rules.is_waiting(client, notice.requested_at) else None

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work, name="notification")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _tell(self, job: _Job, endpoint_hash: str, text: str) -> None:
        """One browser, again while its push service is away and the device still waits."""
        sender = WebPushSender(self._outbound, self._vapid_key(), contact=self._contact)
        for pause in (*RETRY_SECONDS, None):
            now = self._clock()
            outcome = await sender.send(text, job.alert, now=now, expires_at=now + rules.LIVES_MS)
            if outcome.verdict == "dead":
                await self._database.write(lambda tx: store.forget(tx, endpoint_hash))
            if outcome.verdict != "later" or pause is None:
                if outcome.verdict != "sent":
                    log.info("a browser was not told: %s %s", outcome.status, outcome.reason)
                return
            await asyncio.sleep(max(pause, outcome.retry_after or 0))
            if await self._database.read(lambda tx: self._waiting(tx, job.notice)) is None:
                return

    def _vapid_key(self) -> VapidKey:
        """Made at first use; subscriptions are bound to it, so it is kept for good."""
        if self._key is None:
            pem = self._secrets.get_or_create(names.VAPID_KEY, VapidKey.generate().to_pem().encode())
            try:
                self._key = VapidKey.from_pem(pem.decode())
            except (JoseError, UnicodeDecodeError) as error:
                raise SecretStoreFailed(f"The secret {names.VAPID_KEY} is not a P-256 key.") from error
        return self._key

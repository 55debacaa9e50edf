"""Publishing the state of a thread, and showing a device what goes on."""

from collections.abc import Collection

import msgspec

from doorward.relay.activity import rules, store
from doorward.relay.activity.proof import ActivityProofInvalid, verify_activity_proof
from doorward.relay.credentials.store import CredentialOwner
from doorward.relay.delivery.jobs import JobDraft, Target
from doorward.relay.delivery.queue import DeliveryQueue
from doorward.relay.devices import store as device_store
from doorward.relay.devices.store import ReachableDevice
from doorward.relay.replay import store as replay_store
from doorward.relay.replay.rules import jwt_expiry_ms
from doorward.relay.settings import RelaySettings
from doorward.store import Clock, Database, Tx
from doorward.t3_connect.messages import ActivityState, Aggregate, DeliveryKind


class Queued(msgspec.Struct, frozen=True):
    """One delivery that was decided upon."""

    device_id: str
    kind: DeliveryKind


class _Publication(msgspec.Struct, frozen=True):
    """What there is to tell one account; `alert` only where the state is news."""

    user_id: str
    state: ActivityState | None
    aggregate: Aggregate | None
    alert: ActivityState | None


class Publications:
    """Raises ActivityProofExpired, ActivityProofInvalid, StoreError."""

    def __init__(
        self, settings: RelaySettings, database: Database, queue: DeliveryQueue, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._queue = queue
        self._clock = clock

    async def publish(
        self, owner: CredentialOwner, thread_id: str, state: ActivityState | None, proof: str
    ) -> list[Queued]:
        """Keep the state and queue what every device of every linked account is to show of it."""
        now = self._clock()
        used = verify_activity_proof(
            proof, owner=owner, thread_id=thread_id, state=state, issuer=self._settings.issuer, now=now
        )

        def write(tx: Tx) -> list[Queued]:
            is_new = replay_store.consume(
                tx,
                owner=used.owner,
                jti=used.jti,
                iat=used.iat,
                expires_at=jwt_expiry_ms(iat=used.iat, exp=used.exp),
                now=now,
            )
            if not is_new:
                raise ActivityProofInvalid
            is_news = self._keep(tx, owner, thread_id, state, now)
            queued: list[Queued] = []
            for link in store.list_tellable(
                tx, environment_id=owner.environment_id, public_key=owner.environment_public_key
            ):
                aggregate = self._live_aggregate(tx, link, state, now)
                has_alert = link.notifications_enabled and is_news
                publication = _Publication(link.user_id, state, aggregate, state if has_alert else None)
                for device in device_store.list_reachable(tx, link.user_id):
                    queued += self._tell(tx, publication, device, now)
            return queued

        return await self._database.write(write)

    def _keep(
        self, tx: Tx, owner: CredentialOwner, thread_id: str, state: ActivityState | None, now: int
    ) -> bool:
        """Whether the state is another than the one already kept: only then a person is alerted."""
        key = owner.environment_public_key
        before = store.find(tx, environment_id=owner.environment_id, public_key=key, thread_id=thread_id)
        is_terminal = state is not None and state.phase in rules.TERMINAL
        if state is None or (is_terminal and self._settings.strict_base):
            store.delete(tx, environment_id=owner.environment_id, public_key=key, thread_id=thread_id)
        else:
            store.save(tx, state, public_key=key, is_terminal=is_terminal, now=now)
            if before is None:
                store.drop_oldest(
                    tx, environment_id=owner.environment_id, public_key=key, keep=rules.MOST_THREADS
                )
        return state is not None and state != before

    def _live_aggregate(
        self, tx: Tx, link: store.TellableLink, state: ActivityState | None, now: int
    ) -> Aggregate | None:
        if not link.live_activities_enabled:
            return None
        states = store.list_of_user(tx, link.user_id, finished_after=now - rules.KEEP_TERMINAL_MS)
        return rules.live_aggregate(states, state, is_base=self._settings.strict_base)

    def _tell(self, tx: Tx, publication: _Publication, device: ReachableDevice, now: int) -> list[Queued]:
        if not self._queue.can_reach(device.platform):
            return []
        queued = []
        event = rules.live_event(device, publication.aggregate, now)
        if event is not None:
            queued.append(self._queue_live(tx, publication, device, event, now))
        if event in (None, "end"):
            queued += self._queue_alert(tx, publication, device, now)
        return queued

    def _queue_live(
        self,
        tx: Tx,
        publication: _Publication,
        device: ReachableDevice,
        event: rules.LiveEvent,
        now: int,
    ) -> Queued:
        kind: DeliveryKind = f"live_activity_{event}"  # type: ignore[assignment]
        token = device.push_to_start_token if event == "start" else device.live.push_token
        aggregate = publication.aggregate
        if event == "end" and not device.preferences.live_activities_enabled:
            aggregate = None
        draft = JobDraft(kind=kind, target=_target(publication, device, token), aggregate=aggregate)
        self._queue.add(tx, draft, state=publication.state, now=now)
        if event == "start":
            device_store.mark_start_queued(
                tx, user_id=publication.user_id, device_id=device.device_id, now=now
            )
        return Queued(device.device_id, kind)

    def _queue_alert(
        self, tx: Tx, publication: _Publication, device: ReachableDevice, now: int
    ) -> list[Queued]:
        state = publication.alert
        if state is None or device.push_token is None:
            return []
        if not rules.wants_alert(device.preferences, state.phase):
            return []
        draft = JobDraft(
            kind="push_notification",
            target=_target(publication, device, device.push_token),
            notification=rules.alert_of(rules.row_of(state)),
        )
        self._queue.add(tx, draft, state=state, now=now)
        return [Queued(device.device_id, "push_notification")]

    async def replay(self, user_id: str, device_id: str) -> None:
        """Show one device the work in progress, as if it were published now; nobody is alerted of what is old."""
        now = self._clock()

        def write(tx: Tx) -> None:
            states = store.list_of_user(tx, user_id, finished_after=now)
            aggregate = rules.live_aggregate(states, None, is_base=self._settings.strict_base)
            publication = _Publication(user_id, None, aggregate, None)
            for device in device_store.list_reachable(tx, user_id, device_id):
                self._tell(tx, publication, device, now)

        await self._database.write(write)

    async def snapshot(self, user_id: str, *, without: Collection[str]) -> Aggregate | None:
        """What the account's agents do now, environments of `without` left out."""
        since = self._clock() - rules.KEEP_TERMINAL_MS
        states = await self._database.read(
            lambda tx: store.list_of_user(tx, user_id, finished_after=since, without=without)
        )
        return rules.aggregate_of(states)


def _target(publication: _Publication, device: ReachableDevice, token: str | None) -> Target:
    assert token is not None, "the rules choose nothing for a device without the token it takes"
    return Target(
        user_id=publication.user_id,
        device_id=device.device_id,
        platform=device.platform,
        token=token,
        bundle_id=device.bundle_id,
        aps_environment=device.aps_environment,
    )

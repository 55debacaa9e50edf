"""Adding deliveries to the outbox, inside the transaction of the change they tell of."""

from collections.abc import Collection

from doorward.relay.delivery import store
from doorward.relay.delivery.jobs import JobDraft, new_payload, sign_job
from doorward.relay.devices.store import Platform
from doorward.store import Tx
from doorward.t3_connect.messages import ActivityState


class DeliveryQueue:
    """`secret` signs jobs. Devices of platforms that nobody reaches are left out of every decision."""

    def __init__(self, secret: bytes, reachable: Collection[Platform]) -> None:
        self._secret = secret
        self._reachable = frozenset(reachable)

    def can_reach(self, platform: Platform) -> bool:
        return platform in self._reachable

    def add(self, tx: Tx, draft: JobDraft, *, state: ActivityState | None, now: int) -> str:
        """The job's id. `state` is what the delivery tells of, for the record.

        Made and signed in the transaction, against the habit: which jobs there are is known only there, and the HMAC
        of a kilobyte costs less than one statement.
        """
        payload = new_payload(draft, now=now)
        if draft.kind != "push_notification":
            store.supersede_live(tx, user_id=draft.target.user_id, device_id=draft.target.device_id, now=now)
        store.add(
            tx,
            payload,
            sign_job(payload, self._secret),
            environment_id=None if state is None else state.environment_id,
            thread_id=None if state is None else state.thread_id,
            now=now,
        )
        return payload.job_id

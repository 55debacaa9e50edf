"""Endpoints and their log, for whoever administers them: the command line, the console, the Backend API."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from msgspec.structs import replace

from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    FORM_PARAM_MAX_LENGTH,
    FORM_PARAM_VALUE_INVALID,
    SVIX_APP_MISSING,
    WEBHOOK_DELIVERY_PENDING,
    WEBHOOK_ENDPOINT_DISABLED,
    WEBHOOK_LIMIT_REACHED,
    Problem,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id
from doorward.identity.webhooks import deliveries, endpoints, outbox, rules
from doorward.identity.webhooks.deliveries import Attempt, Delivery, DeliveryStatus
from doorward.identity.webhooks.endpoints import Endpoint, Secret
from doorward.identity.webhooks.kinds import KINDS
from doorward.outbound import OutboundError
from doorward.outbound.addresses import parse_target, require_public_name
from doorward.store import Clock, Database, Sealer, Tx
from doorward.webhook_signing import key_of, new_secret

MAX_ENDPOINTS = 50
MAX_SECRETS = 5
MAX_URL = 2_048
MAX_DESCRIPTION = 256


class MadeSecret(msgspec.Struct, frozen=True):
    """An endpoint with a secret just made: `secret` is shown here and never again."""

    endpoint: Endpoint
    secret: str

    def __repr__(self) -> str:
        return f"MadeSecret({self.endpoint.id})"


class LoggedDelivery(msgspec.Struct, frozen=True):
    """A delivery with its attempts, oldest first."""

    delivery: Delivery
    attempts: list[Attempt]


class DeliveryPage(msgspec.Struct, frozen=True):
    """Newest first; `total` counts what the filter leaves."""

    deliveries: list[LoggedDelivery]
    total: int


class ShownDelivery(msgspec.Struct, frozen=True):
    """One delivery whole: `data` is the JSON text of the event's payload."""

    delivery: Delivery
    attempts: list[Attempt]
    data: str


class _Test(msgspec.Struct, frozen=True):
    id: str
    url: str
    object: str = "webhook_endpoint"


class Webhooks:
    """`private_hosts` are the names inside one's own network that an endpoint may have. Refusals raise Refused."""

    def __init__(
        self, database: Database, clock: Clock, *, sealer: Sealer, private_hosts: Collection[str]
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._private_hosts = frozenset(host.lower() for host in private_hosts)

    # -- endpoints

    async def create(
        self,
        url: str,
        *,
        kinds: Sequence[str] = (),
        description: str = "",
        secret: str | None = None,
        actor: str | None,
    ) -> MadeSecret:
        """No kinds is all of them. `secret` is one that receivers know already (`whsec_…`), else a new one is made.

        Raises Refused (422) naming every wrong member.
        """
        problems = self._problems(url=url, kinds=kinds, description=description)
        chosen = new_secret() if secret is None else secret
        try:
            key_of(chosen)
        except ValueError as error:
            problems.append(FORM_PARAM_VALUE_INVALID.at("secret", long_message=f"{error}."))
        if problems:
            raise Refused(*problems)
        now = self._clock()
        endpoint = Endpoint(new_id("ep"), url, description, _ordered(kinds), True, None, None, now, now)
        sealed = self._sealed(endpoint.id, chosen, now)

        def work(tx: Tx) -> None:
            if len(endpoints.everything(tx)) >= MAX_ENDPOINTS:
                raise Refused(
                    WEBHOOK_LIMIT_REACHED.at(long_message=f"There are {MAX_ENDPOINTS} endpoints at most.")
                )
            endpoints.insert(tx, endpoint)
            endpoints.insert_secret(tx, sealed)
            audit.record(
                tx,
                now=now,
                actor=actor,
                action="webhook_endpoint.created",
                object_id=endpoint.id,
                detail=_place(url),
            )

        await self._database.write(work)
        return MadeSecret(endpoint, chosen)

    async def list_endpoints(self) -> list[Endpoint]:
        """Newest first."""
        return await self._database.read(endpoints.everything)

    async def get(self, endpoint_id: str) -> Endpoint:
        """Raises Refused (404)."""
        return await self._database.read(lambda tx: _endpoint(tx, endpoint_id))

    async def update(
        self,
        endpoint_id: str,
        *,
        url: str | None = None,
        kinds: Sequence[str] | None = None,
        description: str | None = None,
        is_enabled: bool | None = None,
        actor: str | None,
    ) -> Endpoint:
        """Change what is not None. Enabling forgets past failures; what was skipped meanwhile can be replayed."""
        problems = self._problems(url=url, kinds=kinds, description=description)
        if problems:
            raise Refused(*problems)
        now = self._clock()

        def work(tx: Tx) -> Endpoint:
            before = _endpoint(tx, endpoint_id)
            after = replace(
                before,
                url=before.url if url is None else url,
                kinds=before.kinds if kinds is None else _ordered(kinds),
                description=before.description if description is None else description,
            )
            if is_enabled is not None and is_enabled != before.is_enabled:
                because = None if is_enabled else "asked"
                after = replace(after, is_enabled=is_enabled, disabled_because=because, failing_since=None)
            if after == before:
                return before
            after = replace(after, updated_at=now)
            endpoints.change(tx, after)
            audit.record(
                tx,
                now=now,
                actor=actor,
                action=f"webhook_endpoint.{_change(before, after)}",
                object_id=endpoint_id,
                detail=_place(after.url),
            )
            return after

        return await self._database.write(work)

    async def delete(self, endpoint_id: str, *, actor: str | None) -> None:
        """What is still queued for it is skipped. Raises Refused (404)."""
        now = self._clock()
        await self._database.write(lambda tx: _delete(tx, _endpoint(tx, endpoint_id), now=now, actor=actor))

    async def delete_all(self, *, actor: str | None) -> None:
        """Raises Refused (400) where there is none."""
        now = self._clock()

        def work(tx: Tx) -> None:
            found = endpoints.everything(tx)
            if not found:
                raise Refused(SVIX_APP_MISSING)
            for endpoint in found:
                _delete(tx, endpoint, now=now, actor=actor)

        await self._database.write(work)

    async def rotate_secret(self, endpoint_id: str, *, actor: str | None) -> MadeSecret:
        """A new secret; for 24 hours deliveries are signed with the one before as well. Raises Refused (400, 404)."""
        now, chosen = self._clock(), new_secret()
        sealed = self._sealed(endpoint_id, chosen, now)

        def work(tx: Tx) -> Endpoint:
            endpoint = _endpoint(tx, endpoint_id)
            if len(endpoints.secrets_of(tx, endpoint_id, now)) >= MAX_SECRETS:
                raise Refused(
                    WEBHOOK_LIMIT_REACHED.at(
                        long_message=f"{MAX_SECRETS} secrets sign at the same time at most; wait until an old one ends."
                    )
                )
            endpoints.end_current_secret(tx, endpoint_id, expire_at=now + rules.OVERLAP_MS)
            endpoints.insert_secret(tx, sealed)
            audit.record(
                tx,
                now=now,
                actor=actor,
                action="webhook_endpoint.secret_rotated",
                object_id=endpoint_id,
            )
            return endpoint

        return MadeSecret(await self._database.write(work), chosen)

    # -- deliveries

    async def list_deliveries(
        self, endpoint_id: str, *, status: DeliveryStatus | None = None, limit: int = 50, offset: int = 0
    ) -> DeliveryPage:
        """Raises Refused (404)."""

        def find(tx: Tx) -> DeliveryPage:
            _endpoint(tx, endpoint_id)
            page, total = deliveries.page(tx, endpoint_id, status=status, limit=limit, offset=offset)
            attempts = deliveries.attempts_of(tx, [one.id for one in page])
            return DeliveryPage(
                [LoggedDelivery(one, [a for a in attempts if a.delivery_id == one.id]) for one in page], total
            )

        return await self._database.read(find)

    async def get_delivery(self, endpoint_id: str, delivery_id: str) -> ShownDelivery:
        """Raises Refused (404)."""

        def find(tx: Tx) -> ShownDelivery:
            delivery = _delivery(tx, endpoint_id, delivery_id)
            attempts = deliveries.attempts_of(tx, [delivery_id])
            return ShownDelivery(delivery, attempts, deliveries.event_of(tx, delivery_id).data)

        return await self._database.read(find)

    async def replay(self, endpoint_id: str, delivery_id: str, *, actor: str | None) -> Delivery:
        """Send a finished delivery once more: same id, same body, new time. Raises Refused (400, 404)."""
        now = self._clock()

        def work(tx: Tx) -> Delivery:
            _enabled(tx, endpoint_id)
            _delivery(tx, endpoint_id, delivery_id)
            if not deliveries.replay(tx, delivery_id, now):
                raise Refused(WEBHOOK_DELIVERY_PENDING)
            audit.record(tx, now=now, actor=actor, action="webhook_delivery.replayed", object_id=delivery_id)
            return _delivery(tx, endpoint_id, delivery_id)

        return await self._database.write(work)

    async def replay_undelivered(self, endpoint_id: str, *, since: int, actor: str | None) -> int:
        """Send everything once more that was queued since then (ms) and never arrived; how many. Raises Refused."""
        now = self._clock()

        def work(tx: Tx) -> int:
            _enabled(tx, endpoint_id)
            count = deliveries.replay_undelivered(tx, endpoint_id, since=since, now=now)
            audit.record(
                tx,
                now=now,
                actor=actor,
                action="webhook_endpoint.replayed",
                object_id=endpoint_id,
                detail=str(count),
            )
            return count

        return await self._database.write(work)

    async def send_test(self, endpoint_id: str, *, actor: str | None) -> str:
        """Queue a `webhook.test` for this endpoint alone, whatever it asked for; the event's id. Raises Refused."""
        now = self._clock()

        def work(tx: Tx) -> str:
            endpoint = _enabled(tx, endpoint_id)
            audit.record(tx, now=now, actor=actor, action="webhook_endpoint.tested", object_id=endpoint_id)
            return outbox.queue_for(
                tx, [endpoint_id], "webhook.test", _Test(endpoint.id, endpoint.url), now=now
            )

        return await self._database.write(work)

    def forget(self, tx: Tx, now: int) -> None:
        """Remove events of more than 30 days with their log, and secrets that no longer sign."""
        deliveries.forget_before(tx, now - rules.KEEP_MS)
        endpoints.forget_expired_secrets(tx, now)

    def _sealed(self, endpoint_id: str, secret: str, now: int) -> Secret:
        secret_id = new_id("whs")
        context = rules.secret_context(secret_id)
        return Secret(secret_id, endpoint_id, self._sealer.seal(secret.encode(), context=context), now, None)

    def _problems(
        self, *, url: str | None, kinds: Sequence[str] | None, description: str | None
    ) -> list[Problem]:
        problems = []
        if url is not None and (sentence := self._url_problem(url)) is not None:
            problems.append(FORM_PARAM_VALUE_INVALID.at("url", long_message=sentence))
        unknown = [kind for kind in kinds or () if kind not in KINDS]
        if unknown:
            problems.append(
                FORM_PARAM_VALUE_INVALID.at(
                    "kinds", long_message=f"There is no event of the kind {unknown[0]!r}."
                )
            )
        if description is not None and len(description) > MAX_DESCRIPTION:
            problems.append(
                FORM_PARAM_MAX_LENGTH.at(
                    "description", long_message=f"A description has at most {MAX_DESCRIPTION} characters."
                )
            )
        return problems

    def _url_problem(self, url: str) -> str | None:
        """Why nothing will be sent there, as far as the URL itself tells; where a name leads is seen at each delivery."""
        if len(url) > MAX_URL:
            return f"A URL has at most {MAX_URL} characters."
        try:
            target = parse_target(url)
            if target.host not in self._private_hosts:
                require_public_name(target)
        except OutboundError as error:
            return str(error)
        return None


def _ordered(kinds: Sequence[str]) -> tuple[str, ...]:
    """Each once, in the table's order."""
    return tuple(kind for kind in KINDS if kind in kinds)


def _change(before: Endpoint, after: Endpoint) -> str:
    if before.is_enabled == after.is_enabled:
        return "updated"
    return "enabled" if after.is_enabled else "disabled"


def _place(url: str) -> str:
    """Where a URL leads, without its path, which may hold a secret of the receiver's."""
    return parse_target(url).origin


def _delete(tx: Tx, endpoint: Endpoint, *, now: int, actor: str | None) -> None:
    endpoints.delete(tx, endpoint.id)
    audit.record(
        tx,
        now=now,
        actor=actor,
        action="webhook_endpoint.deleted",
        object_id=endpoint.id,
        detail=_place(endpoint.url),
    )


def _endpoint(tx: Tx, endpoint_id: str) -> Endpoint:
    endpoint = endpoints.find(tx, endpoint_id)
    if endpoint is None:
        raise Refused(not_found("Webhook endpoint not found"))
    return endpoint


def _delivery(tx: Tx, endpoint_id: str, delivery_id: str) -> Delivery:
    delivery = deliveries.find(tx, endpoint_id, delivery_id)
    if delivery is None:
        raise Refused(not_found("Delivery not found"))
    return delivery


def _enabled(tx: Tx, endpoint_id: str) -> Endpoint:
    endpoint = _endpoint(tx, endpoint_id)
    if not endpoint.is_enabled:
        raise Refused(WEBHOOK_ENDPOINT_DISABLED)
    return endpoint

"""Which tunnels of ours nobody uses: a sweep over Cloudflare's list, held against our rows.

idle        linked, but its connector is away; its environment is known to bring it back, so it may go
abandoned   its link ended and removing it failed then; removing is finished now
unknown     named like ours, but in no row of this database: told, and never touched. Another relay with the
            same stage in the same Cloudflare account would have such tunnels.
"""

import logging
import re
from typing import Literal

import msgspec

from doorward.relay.endpoints import store
from doorward.relay.endpoints.cloudflare.api import PAGE_SIZE, CloudflareError, Tunnel
from doorward.relay.endpoints.cloudflare.provider import CloudflareProvider
from doorward.relay.endpoints.provider import TeardownFailed
from doorward.relay.endpoints.rules import DIGEST_LENGTH, TUNNEL_NAME_PREFIX, slug
from doorward.relay.endpoints.store import AllocationRow
from doorward.relay.links import store as link_store
from doorward.relay.settings import CleanupMode
from doorward.store import Clock, Database, Tx
from doorward.t3_connect import parse_iso

logger = logging.getLogger("doorward.relay")

DOWN_GRACE_MS = 5 * 60_000
NEVER_CONNECTED_GRACE_MS = 60 * 60_000
ABANDONED_GRACE_MS = 5 * 60_000
MOST_PAGES = 10
MOST_DELETIONS = 100

Use = Literal["in_use", "idle", "abandoned", "unknown"]


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """What one sweep saw, by tunnel id, and which of it it removed."""

    idle: tuple[str, ...] = ()
    abandoned: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    is_complete: bool = True


class TunnelCensus:
    """Belongs to one process; begins each sweep where the last one ended, so that a long list is seen whole in time."""

    def __init__(
        self, provider: CloudflareProvider, database: Database, clock: Clock, *, stage: str, mode: CleanupMode
    ) -> None:
        self._provider = provider
        self._database = database
        self._clock = clock
        self._mode = mode
        self._prefix = f"{TUNNEL_NAME_PREFIX}{slug(stage)}-"
        self._ours = re.compile(re.escape(self._prefix) + f"[0-9a-f]{{{DIGEST_LENGTH}}}")
        self._next_page = 1

    async def sweep(self) -> Sweep:
        """Look at up to 1,000 tunnels and remove up to 100. Nothing at all with the mode `off`."""
        if self._mode == "off":
            return Sweep()
        seen: dict[Use, list[str]] = {"in_use": [], "idle": [], "abandoned": [], "unknown": []}
        removed: list[str] = []
        is_complete = False
        try:
            for page in range(self._next_page, self._next_page + MOST_PAGES):
                listed = await self._provider.api.list_tunnels(self._prefix, page)
                for tunnel in listed:
                    await self._judge(tunnel, seen, removed)
                is_complete = len(listed) < PAGE_SIZE
                self._next_page = 1 if is_complete else page + 1
                if is_complete:
                    break
        except CloudflareError as error:
            # Asked too often, or out of reach: the next sweep goes on from this page.
            logger.warning("Looking for unused tunnels stopped: %s", error)
        result = Sweep(
            idle=tuple(seen["idle"]),
            abandoned=tuple(seen["abandoned"]),
            unknown=tuple(seen["unknown"]),
            removed=tuple(removed),
            is_complete=is_complete,
        )
        if result.idle or result.abandoned or result.unknown:
            logger.info(
                "Tunnels: %d idle, %d abandoned, %d unknown to this relay; %d removed (cleanup is %s).",
                len(result.idle),
                len(result.abandoned),
                len(result.unknown),
                len(result.removed),
                self._mode,
            )
        return result

    async def _judge(self, tunnel: Tunnel, seen: dict[Use, list[str]], removed: list[str]) -> None:
        if not self._ours.fullmatch(tunnel.name):
            return
        allocation, use = await self._database.read(lambda tx: self._use_of(tx, tunnel))
        seen[use].append(tunnel.id)
        if allocation is None or self._mode != "delete" or len(removed) >= MOST_DELETIONS:
            return
        try:
            if use == "idle":
                is_gone = await self._provider.release(
                    user_id=allocation.user_id, environment_id=allocation.environment_id
                )
            elif use == "abandoned":
                await self._provider.tear_down(
                    user_id=allocation.user_id, environment_id=allocation.environment_id
                )
                is_gone = True
            else:
                return
        except TeardownFailed as error:
            if isinstance(error.__cause__, CloudflareError) and error.__cause__.is_rate_limited:
                raise error.__cause__ from error
            logger.warning("An unused tunnel could not be removed: %s", error)
            return
        if is_gone:
            removed.append(tunnel.id)

    def _use_of(self, tx: Tx, tunnel: Tunnel) -> tuple[AllocationRow | None, Use]:
        allocation = store.find_by_tunnel(tx, tunnel.id)
        if allocation is None:
            return None, "unknown"
        now = self._clock()
        link = link_store.find_active(
            tx, user_id=allocation.user_id, environment_id=allocation.environment_id
        )
        has_tunnel = link is not None and link_store.has_tunnel(
            tx, user_id=allocation.user_id, environment_id=allocation.environment_id
        )
        if link is None or not has_tunnel:
            # A link may be about to be made with it.
            is_old = now - allocation.updated_at >= ABANDONED_GRACE_MS
            return allocation, "abandoned" if is_old else "in_use"
        can_recover = (
            allocation.recovery_enabled_at is not None
            and allocation.recovery_environment_public_key == link.environment_public_key
        )
        return allocation, "idle" if can_recover and _is_away(tunnel, now) else "in_use"


def _is_away(tunnel: Tunnel, now: int) -> bool:
    """Whether no connector has served the tunnel for its grace. A time that cannot be read is no reason to remove."""
    if tunnel.status == "down":
        since, grace = tunnel.conns_inactive_at, DOWN_GRACE_MS
    elif tunnel.status == "inactive":
        since, grace = tunnel.created_at, NEVER_CONNECTED_GRACE_MS
    else:
        return False
    try:
        return since is not None and now - parse_iso(since) >= grace
    except ValueError:
        return False

"""Rows of endpoint allocations."""

from collections.abc import Sequence

import msgspec

from doorward.relay.endpoints.rules import EndpointNames
from doorward.store import Row, Statement, Tx

_COLUMNS = (
    "user_id, environment_id, hostname, tunnel_name, tunnel_id, dns_record_id, ready_at, generation,"
    " tunnel_public_key, origin, recovery_enabled_at, recovery_environment_public_key, leased_until, updated_at"
)

#: SQL of `AllocationRow.is_ready`.
IS_READY = "(ready_at IS NOT NULL AND tunnel_id IS NOT NULL AND dns_record_id IS NOT NULL)"


class AllocationRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is reserved for one (account, environment). Times in milliseconds.

    `tunnel_id` names the tunnel: opaque, and unlike the environment id never shared by two accounts.
    `tunnel_public_key` is the raw Ed25519 key, base64url, of the connector of this `generation` (embedded tunnels
    only). `origin` is the local address the tunnel was last pointed at, as `origin_text` writes it. `leased_until`
    is when the provider call that holds the row must have ended.
    """

    user_id: str
    environment_id: str
    hostname: str
    tunnel_name: str
    tunnel_id: str | None
    dns_record_id: str | None
    ready_at: int | None
    generation: int
    tunnel_public_key: str | None
    origin: str | None
    recovery_enabled_at: int | None
    recovery_environment_public_key: str | None
    leased_until: int | None
    updated_at: int

    @property
    def is_ready(self) -> bool:
        return self.ready_at is not None and self.tunnel_id is not None and self.dns_record_id is not None


def origin_text(host: str, port: int) -> str:
    """How a local origin is stored and compared."""
    return f"{host} {port}"


def _row(row: Row) -> AllocationRow:
    return AllocationRow(**dict(zip(AllocationRow.__struct_fields__, row, strict=True)))


def allocations_of(rows: Sequence[Row]) -> list[AllocationRow]:
    return [_row(row) for row in rows]


def find(tx: Tx, *, user_id: str, environment_id: str) -> AllocationRow | None:
    row = tx.fetch_one(
        f"SELECT {_COLUMNS} FROM relay_managed_endpoint_allocations"  # noqa: S608
        " WHERE user_id = ? AND environment_id = ?",
        (user_id, environment_id),
    )
    return None if row is None else _row(row)


def reserve(
    tx: Tx, *, user_id: str, environment_id: str, names: EndpointNames, tunnel_id: str | None, now: int
) -> AllocationRow:
    """Insert if absent, then read back: what was stored first wins over what was derived now."""
    tx.execute(
        "INSERT INTO relay_managed_endpoint_allocations (user_id, environment_id, hostname, tunnel_name, tunnel_id,"
        " dns_record_id, ready_at, generation, tunnel_public_key, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, NULL, NULL, 0, NULL, ?, ?) ON CONFLICT (user_id, environment_id) DO NOTHING",
        (user_id, environment_id, names.hostname, names.tunnel_name, tunnel_id, now, now),
    )
    allocation = find(tx, user_id=user_id, environment_id=environment_id)
    if allocation is None:
        raise LookupError("The allocation that was just reserved is gone.")
    return allocation


def register_tunnel_key(
    tx: Tx,
    allocation: AllocationRow,
    *,
    tunnel_id: str,
    tunnel_public_key: str,
    dns_record_id: str,
    origin: str,
    now: int,
) -> int:
    """Give the next generation to a new connector key and mark the endpoint ready; returns that generation."""
    generation = allocation.generation + 1
    tx.execute(
        "UPDATE relay_managed_endpoint_allocations SET generation = ?, tunnel_id = ?, tunnel_public_key = ?,"
        " dns_record_id = ?, origin = ?, ready_at = ?, updated_at = ? WHERE user_id = ? AND environment_id = ?",
        (
            generation,
            tunnel_id,
            tunnel_public_key,
            dns_record_id,
            origin,
            now,
            now,
            allocation.user_id,
            allocation.environment_id,
        ),
    )
    return generation


def close(tx: Tx, allocation: AllocationRow, *, now: int) -> int:
    """Forget the connector key and raise the generation, keeping the names; returns the new generation."""
    generation = forget_tunnel_key(tx, allocation, now=now)
    tx.execute(
        "UPDATE relay_managed_endpoint_allocations SET ready_at = NULL, recovery_enabled_at = NULL,"
        " recovery_environment_public_key = NULL WHERE user_id = ? AND environment_id = ?",
        (allocation.user_id, allocation.environment_id),
    )
    return generation


def forget_tunnel_key(tx: Tx, allocation: AllocationRow, *, now: int) -> int:
    """No connector opens the tunnel until a new key is registered, but the endpoint stays the link's."""
    generation = allocation.generation + 1
    tx.execute(
        "UPDATE relay_managed_endpoint_allocations SET generation = ?, tunnel_public_key = NULL, updated_at = ?"
        " WHERE user_id = ? AND environment_id = ?",
        (generation, now, allocation.user_id, allocation.environment_id),
    )
    return generation


def enable_recovery(
    tx: Tx, *, user_id: str, environment_id: str, tunnel_id: str, origin: str, public_key: str, now: int
) -> bool:
    """Note that the environment of this key can bring its tunnel back. False when tunnel or origin changed meanwhile."""
    updated = tx.execute(
        "UPDATE relay_managed_endpoint_allocations SET recovery_enabled_at = ?, recovery_environment_public_key = ?"
        " WHERE user_id = ? AND environment_id = ? AND tunnel_id = ? AND origin = ?",
        (now, public_key, user_id, environment_id, tunnel_id, origin),
    )
    return updated == 1


_OF_LINKED = (
    " a JOIN relay_environment_links l ON l.user_id = a.user_id AND l.environment_id = a.environment_id"
    " AND l.revoked_at IS NULL"
)
_PREFIXED = ", ".join(f"a.{column.strip()}" for column in _COLUMNS.split(","))


def find_linked_by_tunnel(tx: Tx, tunnel_id: str) -> AllocationRow | None:
    row = tx.fetch_one(
        f"SELECT {_PREFIXED} FROM relay_managed_endpoint_allocations{_OF_LINKED} WHERE a.tunnel_id = ?",  # noqa: S608
        (tunnel_id,),
    )
    return None if row is None else _row(row)


def find_by_tunnel(tx: Tx, tunnel_id: str) -> AllocationRow | None:
    """Linked or not."""
    row = tx.fetch_one(
        f"SELECT {_COLUMNS} FROM relay_managed_endpoint_allocations WHERE tunnel_id = ?",  # noqa: S608
        (tunnel_id,),
    )
    return None if row is None else _row(row)


def linked_of_user(user_id: str) -> Statement:
    """What is reserved for an account's links, for `allocations_of`."""
    return Statement(
        f"SELECT {_PREFIXED} FROM relay_managed_endpoint_allocations{_OF_LINKED} WHERE a.user_id = ?",  # noqa: S608
        (user_id,),
    )


def find_linked_by_hostname(tx: Tx, hostname: str) -> AllocationRow | None:
    row = tx.fetch_one(
        f"SELECT {_PREFIXED} FROM relay_managed_endpoint_allocations{_OF_LINKED} WHERE a.hostname = ?",  # noqa: S608
        (hostname,),
    )
    return None if row is None else _row(row)


def find_linked_by_service(tx: Tx, name: str) -> AllocationRow | None:
    row = tx.fetch_one(
        f"SELECT {_PREFIXED} FROM relay_managed_endpoint_allocations{_OF_LINKED}"  # noqa: S608
        " JOIN relay_service_names s ON s.user_id = a.user_id AND s.environment_id = a.environment_id"
        " AND s.released_at IS NULL WHERE s.name = ?",
        (name,),
    )
    return None if row is None else _row(row)

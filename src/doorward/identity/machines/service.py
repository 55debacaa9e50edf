"""Making, naming, connecting and removing machines, and telling whose a secret key is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    CONFLICT,
    FORM_PARAM_VALUE_INVALID,
    MACHINE_NOT_FOUND,
    RESOURCE_NOT_FOUND,
    Refused,
)
from doorward.identity.identifiers import new_id
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.machines import rules, store
from doorward.identity.machines.store import Machine, MachineDetail, MachineScope
from doorward.identity.paging import Slice
from doorward.identity.resources.deleted import Deleted
from doorward.identity.resources.for_back_ends import machines as resources
from doorward.identity.webhooks import outbox
from doorward.identity.webhooks.kinds import EventKind
from doorward.store import Clock, Database, Sealer, Tx

_PURPOSE = "machine secret key"


class MadeMachine(msgspec.Struct, frozen=True):
    detail: MachineDetail
    secret_key: str

    def __repr__(self) -> str:
        return f"MadeMachine({self.detail.machine.id})"


class _Key(msgspec.Struct, frozen=True):
    """A secret key and what is kept of it."""

    secret: str
    hash: str
    sealed: bytes

    def __repr__(self) -> str:
        return "_Key(…)"


class Machines:
    """`actor` is who asks, for the audit trail."""

    def __init__(
        self, database: Database, clock: Clock, *, keyed_hash: KeyedHash, sealer: Sealer, instance_id: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._hash = keyed_hash
        self._sealer = sealer
        self._instance_id = instance_id

    async def recognise(self, secret: str) -> str | None:
        """The id of the machine whose key this is, for as long as it works."""
        if not rules.is_secret_key(secret):
            return None
        key_hash, now = self._hash.of(_PURPOSE, secret), self._clock()
        # Asked of the database each time: an answer from memory would tell by its speed that a key exists.
        owner = await self._database.lookup(lambda tx: store.owner_of_key(tx, key_hash))
        if owner is None or (owner.expire_at is not None and now >= owner.expire_at):
            return None
        return owner.machine_id

    async def create(
        self, name: str, *, scoped_machines: Sequence[str], default_token_ttl: int, actor: str
    ) -> MadeMachine:
        """`default_token_ttl` in seconds. Raises Refused: 404 for a scope that is no machine."""
        now, key = self._clock(), self._new_key()
        machine = Machine(new_id("mch"), name, default_token_ttl, now, now)

        def work(tx: Tx) -> MachineDetail:
            store.insert(tx, machine)
            store.insert_key(tx, machine.id, key.hash, key.sealed, now)
            for target in dict.fromkeys(scoped_machines):
                _require(tx, target)
                store.insert_scope(tx, MachineScope(machine.id, target, now))
            _record(tx, now, actor, "machine.made", machine.id, name)
            return self._told(tx, "machine.created", machine, now)

        return MadeMachine(await self._database.write(work), key.secret)

    async def page(self, query: str | None, part: Slice) -> tuple[list[MachineDetail], int]:
        def read(tx: Tx) -> tuple[list[MachineDetail], int]:
            machines, total = store.page(tx, query, part)
            scoped = store.scoped_machines(tx, [machine.id for machine in machines])
            return [MachineDetail(machine, scoped[machine.id]) for machine in machines], total

        return await self._database.read(read)

    async def get(self, machine_id: str) -> MachineDetail:
        """Raises Refused (404), as every method below does of a machine that is none."""
        return await self._database.read(lambda tx: _detail(tx, _require(tx, machine_id)))

    async def update(
        self, machine_id: str, *, name: str | None, default_token_ttl: int | None, actor: str
    ) -> MachineDetail:
        """None leaves a member as it is."""
        now = self._clock()

        def work(tx: Tx) -> MachineDetail:
            machine = _require(tx, machine_id)
            machine = msgspec.structs.replace(
                machine,
                name=machine.name if name is None else name,
                default_token_ttl=machine.default_token_ttl
                if default_token_ttl is None
                else default_token_ttl,
                updated_at=now,
            )
            store.update(tx, machine)
            _record(tx, now, actor, "machine.changed", machine_id, machine.name)
            return self._told(tx, "machine.updated", machine, now)

        return await self._database.write(work)

    async def delete(self, machine_id: str, *, actor: str) -> None:
        """Its key stops working, and so do its opaque tokens, at once."""
        now = self._clock()

        def work(tx: Tx) -> None:
            machine = _require(tx, machine_id)
            store.delete(tx, machine_id)
            _record(tx, now, actor, "machine.deleted", machine_id, machine.name)
            outbox.enqueue(tx, "machine.deleted", Deleted("machine", machine_id), now=now)

        await self._database.write(work)

    async def secret_key(self, machine_id: str, *, actor: str) -> str:
        """Raises Refused (404)."""
        now = self._clock()

        def work(tx: Tx) -> tuple[str, bytes]:
            _require(tx, machine_id)
            key = store.current_key(tx, machine_id)
            if key is None:
                raise Refused(MACHINE_NOT_FOUND)
            _record(tx, now, actor, "machine.secret_key_read", machine_id)
            return key

        key_hash, sealed = await self._database.write(work)
        return self._sealer.open(sealed, context=rules.key_context(key_hash)).decode()

    async def rotate(self, machine_id: str, *, grace_seconds: int, actor: str) -> str:
        """The new secret key; the old one works for `grace_seconds` more, and one before it no longer."""
        now, key = self._clock(), self._new_key()

        def work(tx: Tx) -> None:
            _require(tx, machine_id)
            store.end_keys(tx, machine_id, now + grace_seconds * 1000, now)
            store.insert_key(tx, machine_id, key.hash, key.sealed, now)
            _record(tx, now, actor, "machine.secret_key_rotated", machine_id, f"grace {grace_seconds} s")

        await self._database.write(work)
        return key.secret

    async def add_scope(self, from_machine_id: str, to_machine_id: str, *, actor: str) -> MachineScope:
        """Raises Refused: 409 when it is there, 422 for a machine's scope on itself, or one too many."""
        scope = MachineScope(from_machine_id, to_machine_id, self._clock())

        def work(tx: Tx) -> None:
            machine = _require(tx, from_machine_id)
            if from_machine_id == to_machine_id:
                raise Refused(
                    FORM_PARAM_VALUE_INVALID.at(
                        "to_machine_id", long_message="A machine needs no scope on itself."
                    )
                )
            _require(tx, to_machine_id)
            if not store.insert_scope(tx, scope):
                raise Refused(CONFLICT.at(long_message="This machine has this scope already."))
            if len(store.scope_ids(tx, from_machine_id)) > rules.MAX_SCOPES:
                raise Refused(
                    FORM_PARAM_VALUE_INVALID.at(
                        "to_machine_id", long_message=f"A machine has {rules.MAX_SCOPES} scopes at most."
                    )
                )
            _record(tx, scope.created_at, actor, "machine.scope_added", from_machine_id, to_machine_id)
            self._told(tx, "machine.updated", machine, scope.created_at)

        await self._database.write(work)
        return scope

    async def remove_scope(self, from_machine_id: str, to_machine_id: str, *, actor: str) -> None:
        """Tokens made before keep it. Raises Refused (404) when there is no such scope."""
        now = self._clock()

        def work(tx: Tx) -> None:
            machine = _require(tx, from_machine_id)
            if not store.delete_scope(tx, from_machine_id, to_machine_id):
                raise Refused(RESOURCE_NOT_FOUND.at(long_message="The machine has no such scope."))
            _record(tx, now, actor, "machine.scope_removed", from_machine_id, to_machine_id)
            self._told(tx, "machine.updated", machine, now)

        await self._database.write(work)

    def _told(self, tx: Tx, kind: EventKind, machine: Machine, now: int) -> MachineDetail:
        """The machine as it is now, which whoever listens is told."""
        detail = _detail(tx, machine)
        outbox.enqueue(tx, kind, resources.machine(detail, self._instance_id), now=now)
        return detail

    def _new_key(self) -> _Key:
        secret = rules.new_secret_key()
        key_hash = self._hash.of(_PURPOSE, secret)
        sealed = self._sealer.seal(secret.encode(), context=rules.key_context(key_hash))
        return _Key(secret, key_hash, sealed)


def _require(tx: Tx, machine_id: str) -> Machine:
    machine = store.find(tx, machine_id)
    if machine is None:
        raise Refused(MACHINE_NOT_FOUND)
    return machine


def _detail(tx: Tx, machine: Machine) -> MachineDetail:
    return MachineDetail(machine, store.scoped_machines(tx, [machine.id])[machine.id])


def _record(tx: Tx, now: int, actor: str, action: str, machine_id: str, detail: str = "") -> None:
    audit.record(tx, now=now, actor=actor, action=action, object_id=machine_id, detail=detail)

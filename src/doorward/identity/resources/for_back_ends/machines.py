"""Machines, their scopes and secret keys. Times in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from doorward.identity.machines.store import Machine as MachineRecord
    from doorward.identity.machines.store import MachineDetail


class ScopedMachine(msgspec.Struct, kw_only=True):
    """A machine that another one may call; its own scopes are not told."""

    object: str = "machine"
    id: str
    name: str
    instance_id: str
    created_at: int
    updated_at: int
    default_token_ttl: int


class Machine(ScopedMachine, kw_only=True):
    scoped_machines: list[ScopedMachine]


class MadeMachine(Machine, kw_only=True):
    secret_key: str


class MachineScope(msgspec.Struct, kw_only=True):
    object: str = "machine_scope"
    from_machine_id: str
    to_machine_id: str
    created_at: int


class DeletedMachineScope(msgspec.Struct, kw_only=True):
    object: str = "machine_scope"
    from_machine_id: str
    to_machine_id: str
    deleted: bool = True


class MachineSecretKey(msgspec.Struct, kw_only=True):
    object: str = "machine_secret_key"
    secret: str


def machine(detail: MachineDetail, instance_id: str) -> Machine:
    return Machine(
        **members(detail.machine, instance_id), scoped_machines=scoped_machines(detail, instance_id)
    )


def scoped_machines(detail: MachineDetail, instance_id: str) -> list[ScopedMachine]:
    return [ScopedMachine(**members(machine, instance_id)) for machine in detail.scoped_machines]


def members(machine: MachineRecord, instance_id: str) -> dict[str, Any]:
    """What every form of a machine tells."""
    return {
        "id": machine.id,
        "name": machine.name,
        "instance_id": instance_id,
        "created_at": machine.created_at,
        "updated_at": machine.updated_at,
        "default_token_ttl": machine.default_token_ttl,
    }

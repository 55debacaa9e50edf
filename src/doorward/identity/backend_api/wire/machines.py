"""Machines, their scopes and secret keys, as Clerk's Backend API writes them. Times in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from doorward.identity.backend_api.wire.shapes import Body, Page
from doorward.identity.machines import rules

if TYPE_CHECKING:
    from doorward.identity.machines.store import Machine as MachineRecord
    from doorward.identity.machines.store import MachineDetail

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
TokenSeconds = Annotated[int, msgspec.Meta(ge=1, le=rules.MAX_TOKEN_SECONDS)]


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


class ListMachines(Page, frozen=True, kw_only=True):
    query: str | None = None
    order_by: str = "-created_at"


class CreateMachine(Body, frozen=True, kw_only=True):
    name: Name
    scoped_machines: Annotated[list[str], msgspec.Meta(max_length=rules.MAX_SCOPES)] | None = None
    default_token_ttl: TokenSeconds | None = None


class UpdateMachine(Body, frozen=True, kw_only=True):
    name: Name | None = None
    default_token_ttl: TokenSeconds | None = None


class RotateSecretKey(Body, frozen=True, kw_only=True):
    previous_token_ttl: Annotated[int, msgspec.Meta(ge=0, le=rules.MAX_GRACE_SECONDS)]


class CreateMachineScope(Body, frozen=True, kw_only=True):
    to_machine_id: str

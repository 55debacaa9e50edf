"""`/machines`: for holders of the instance's secret key alone."""

from __future__ import annotations

from typing import Any

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.ordering import slice_of
from doorward.identity.backend_api.wire import machines as wire
from doorward.identity.backend_api.wire.shapes import Listed, NoBody, NoQuery
from doorward.identity.machines import MachineDetail, store
from doorward.identity.resources.deleted import Deleted
from doorward.identity.resources.for_back_ends import machines as resources

DEFAULT_TOKEN_SECONDS = 3600


async def list_machines(call: Call[wire.ListMachines, NoBody]) -> Listed[resources.Machine]:
    """Machines, newest first."""
    query = call.query
    details, total = await call.identity.machines.page(query.query or None, slice_of(query, store.ORDERS))
    return Listed([_machine(call, detail) for detail in details], total)


async def create_machine(call: Call[NoQuery, wire.CreateMachine]) -> resources.MadeMachine:
    """Make a machine; its secret key is in the answer."""
    body = call.body
    made = await call.identity.machines.create(
        body.name,
        scoped_machines=body.scoped_machines or (),
        default_token_ttl=body.default_token_ttl or DEFAULT_TOKEN_SECONDS,
        actor=call.caller.id,
    )
    return resources.MadeMachine(
        **resources.members(made.detail.machine, call.identity.instance_id),
        scoped_machines=resources.scoped_machines(made.detail, call.identity.instance_id),
        secret_key=made.secret_key,
    )


async def get_machine(call: Call[NoQuery, NoBody]) -> resources.Machine:
    """One machine."""
    return _machine(call, await call.identity.machines.get(call.path["machine_id"]))


async def update_machine(call: Call[NoQuery, wire.UpdateMachine]) -> resources.Machine:
    """Change a machine's name or the lifetime of its tokens."""
    detail = await call.identity.machines.update(
        call.path["machine_id"],
        name=call.body.name,
        default_token_ttl=call.body.default_token_ttl,
        actor=call.caller.id,
    )
    return _machine(call, detail)


async def delete_machine(call: Call[NoQuery, NoBody]) -> Deleted:
    """Delete a machine, its scopes both ways and its tokens."""
    machine_id = call.path["machine_id"]
    await call.identity.machines.delete(machine_id, actor=call.caller.id)
    return Deleted("machine", machine_id)


async def get_machine_secret_key(call: Call[NoQuery, NoBody]) -> resources.MachineSecretKey:
    """A machine's current secret key."""
    secret = await call.identity.machines.secret_key(call.path["machine_id"], actor=call.caller.id)
    return resources.MachineSecretKey(secret=secret)


async def rotate_machine_secret_key(call: Call[NoQuery, wire.RotateSecretKey]) -> resources.MachineSecretKey:
    """Replace a machine's secret key; the old one works for `previous_token_ttl` seconds more."""
    secret = await call.identity.machines.rotate(
        call.path["machine_id"], grace_seconds=call.body.previous_token_ttl, actor=call.caller.id
    )
    return resources.MachineSecretKey(secret=secret)


async def create_machine_scope(call: Call[NoQuery, wire.CreateMachineScope]) -> resources.MachineScope:
    """Let a machine make tokens that are good at another."""
    scope = await call.identity.machines.add_scope(
        call.path["machine_id"], call.body.to_machine_id, actor=call.caller.id
    )
    return resources.MachineScope(
        from_machine_id=scope.from_machine_id, to_machine_id=scope.to_machine_id, created_at=scope.created_at
    )


async def delete_machine_scope(call: Call[NoQuery, NoBody]) -> resources.DeletedMachineScope:
    """End a scope for tokens made from now on."""
    from_machine_id, to_machine_id = call.path["machine_id"], call.path["other_machine_id"]
    await call.identity.machines.remove_scope(from_machine_id, to_machine_id, actor=call.caller.id)
    return resources.DeletedMachineScope(from_machine_id=from_machine_id, to_machine_id=to_machine_id)


def _machine(call: Call[Any, Any], detail: MachineDetail) -> resources.Machine:
    return resources.machine(detail, call.identity.instance_id)


_MACHINE = "/machines/{machine_id}"
OPERATIONS = (
    operation("GET", "/machines", list_machines, query=wire.ListMachines, answer=Listed[resources.Machine]),
    operation("POST", "/machines", create_machine, body=wire.CreateMachine, answer=resources.MadeMachine),
    operation("GET", _MACHINE, get_machine, answer=resources.Machine),
    operation("PATCH", _MACHINE, update_machine, body=wire.UpdateMachine, answer=resources.Machine),
    operation("DELETE", _MACHINE, delete_machine, answer=Deleted),
    operation("GET", f"{_MACHINE}/secret_key", get_machine_secret_key, answer=resources.MachineSecretKey),
    operation(
        "POST",
        f"{_MACHINE}/secret_key/rotate",
        rotate_machine_secret_key,
        body=wire.RotateSecretKey,
        answer=resources.MachineSecretKey,
    ),
    operation(
        "POST",
        f"{_MACHINE}/scopes",
        create_machine_scope,
        body=wire.CreateMachineScope,
        answer=resources.MachineScope,
    ),
    operation(
        "DELETE",
        f"{_MACHINE}/scopes/{{other_machine_id}}",
        delete_machine_scope,
        answer=resources.DeletedMachineScope,
    ),
)

"""Machines: named services that prove themselves by a secret key (`ak_…`) and may call the machines in their scopes.

Owns `identity_machines`, `identity_machine_keys` and `identity_machine_scopes`. A scope A→B is an edge: tokens that A
makes from then on are good at B. A machine's secret key can be read again, as Clerk's wire demands, and so is sealed
with the key-encryption key beside the keyed hash that finds it; a replaced key works on for as long as was asked.
Mounts nothing: `backend_api/machines.py` has the routes. Neighbours: `m2m_tokens` mints for machines, and
`backend_api.callers` asks whose a key is.
"""

from doorward.identity.machines.service import Machines, MadeMachine
from doorward.identity.machines.store import Machine, MachineDetail, MachineScope

__all__ = ["Machine", "MachineDetail", "MachineScope", "Machines", "MadeMachine"]

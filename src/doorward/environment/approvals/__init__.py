"""Which device keys may connect: the security mode, the state of each key, and the owner's decisions.

`rules.py` is the state machine (pure), `mode.py` the stored mode that fails closed, `store.py` the SQL,
`service.py` decides a mint and records decisions, each in one transaction, so that a revoke can never race a
mint. Routes are in `api/`.
"""

from doorward.environment.approvals.mode import SecurityMode, SecurityModes, SecurityModeUnreadable
from doorward.environment.approvals.rules import Client, ClientStatus, Knock

__all__ = ["Client", "ClientStatus", "Knock", "SecurityMode", "SecurityModeUnreadable", "SecurityModes"]

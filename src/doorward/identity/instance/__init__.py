"""What an operator changes about the instance while it runs: origins, who may come in, organizations.

Owns `identity_instance`, a table of one row. The configuration file says where an instance is; this says how it behaves.
Every node keeps the row in memory and follows the channel `identity.instance`; a decision that must not be late reads it
inside its own transaction. Neighbours: `restrictions` asks who may sign up, `visits` which origins may talk to us,
`organizations` what is allowed in them; `backend_api` changes it.
"""

from doorward.identity.instance.rules import InstanceSettings, OrganizationSettings, SignUpMode
from doorward.identity.instance.service import Instance

__all__ = ["Instance", "InstanceSettings", "OrganizationSettings", "SignUpMode"]

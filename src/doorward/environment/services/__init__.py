"""Which local service answers at which public host. Mounts nothing; the gate asks, the reconcile claims names.

`store.py` is the SQL, `service.py` the list in memory and its changes. One environment per data folder; each
`expose` adds a service to it.
"""

from doorward.environment.services.service import CHANNEL, PublishedService, Services

__all__ = ["CHANNEL", "PublishedService", "Services"]

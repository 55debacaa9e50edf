"""What the gate issues under a device's session: a code of 30 seconds, then a cookie of 15 minutes, for one service host.

Browsers cannot put a DPoP proof on a navigation, an image or a WebSocket, so the page on the API host, which
holds the key, gets a single-use code, and the service host turns it into its own cookie. Both die with the
session: `store.end_for_sessions` runs in the transaction that ends it. Mounts nothing; the gate does.
"""

from doorward.environment.children.service import Child, Children, Visitor

__all__ = ["Child", "Children", "Visitor"]

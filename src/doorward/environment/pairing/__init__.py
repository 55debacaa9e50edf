"""One-time credentials: twelve characters that become one session. Routes are in `api/`.

`rules.py` makes and classifies them (pure), `store.py` is the SQL, `service.py` creates, lists, revokes and
consumes them, each in one transaction.
"""

from doorward.environment.pairing.rules import PairingLink

__all__ = ["PairingLink"]

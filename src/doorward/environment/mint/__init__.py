"""Answering the relay: is this machine there (health), and may this device in (mint).

`rules.py` checks a signed request (pure), `service.py` consumes its guards, asks `approvals` and signs the
answer. Routes C6-C8 are in `api/`.
"""

from doorward.environment.mint.service import Mint

__all__ = ["Mint"]

"""Sessions at this machine: who holds one, how a request proves it, and how it ends everywhere at once.

`tokens.py` is the token envelope (pure), `client_details.py` reads a client's own words about itself (pure),
`store.py` the SQL, `service.py` issue, list, connect and end, `authentication.py` which credential of a
request counts, `replay.py` the guards that make a proof count once, `endings.py` tells open sockets that
their session is over. Routes are in `api/`.
"""

from doorward.environment.sessions.client_details import ClientDetails
from doorward.environment.sessions.store import Session

__all__ = ["ClientDetails", "Session"]

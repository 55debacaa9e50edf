"""Auth-access events: what changed, for every open settings page and waiting device. Mounts nothing.

`events.py` declares them and announces them inside the transaction that causes them. They are delivered on
the database channel "environment.events" after COMMIT; `api/auth_access.py` turns them into the wire's stream.
"""

from doorward.environment.stream.events import CHANNEL, Event, announce, read_event

__all__ = ["CHANNEL", "Event", "announce", "read_event"]

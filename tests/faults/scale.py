"""How long and how large: the figures of a test run, and those of `make soak`.

DOORWARD_SOAK is how far towards the full figures to go: 0 for a test run, 1 for `make soak`.
"""

import os

SOAK = float(os.environ.get("DOORWARD_SOAK") or 0)


def towards(short: float, full: float) -> float:
    return short + (full - short) * SOAK


BODY_BYTES = int(towards(256, 20_000)) * 1_000_000
WEBSOCKETS = int(towards(40, 200))
"""A tunnel carries 256 streams."""
WEBSOCKET_SECONDS = towards(60, 3_000)
"""A device's session ends after an hour, and its sockets with it."""
DOWN_SECONDS = towards(6, 60)
"""A process that is not there: longer than the edge holds a request for a machine that may be reconnecting."""
STOPPED_SECONDS = towards(5, 60)
"""A machine that sleeps, a link that carries nothing."""
DATABASE_DOWN_SECONDS = towards(5, 60)

"""Who may do what on this machine. Owns the one table of that; mounts nothing.

`rules.refusal` is asked by every route and by the control socket; nothing else decides.
"""

from doorward.environment.access.rules import (
    MACHINE,
    Action,
    Actor,
    Door,
    NotAllowed,
    Refusal,
    Role,
    refusal,
    require,
)

__all__ = ["MACHINE", "Action", "Actor", "Door", "NotAllowed", "Refusal", "Role", "refusal", "require"]

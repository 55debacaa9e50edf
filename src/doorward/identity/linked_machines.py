"""The machines linked to an account, as the console shows them. The relay knows them; `server` brings them here."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import msgspec


class LinkedMachine(msgspec.Struct, frozen=True, kw_only=True):
    """`label` and `services` are the machine's own words. `linked_at` in milliseconds."""

    environment_id: str
    label: str
    services: tuple[str, ...]
    linked_at: int


LinkedMachines: TypeAlias = Callable[[str], Awaitable[Sequence[LinkedMachine]]]
"""Of the user with this id, oldest first."""


async def none_known(_: str) -> Sequence[LinkedMachine]:
    """Where no relay shares the database."""
    return ()

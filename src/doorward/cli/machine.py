"""The machine of a home folder, for one thing to be done with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from doorward.cli.availability import where_configured

if TYPE_CHECKING:
    from doorward.environment.local import LocalMachine

T = TypeVar("T")


async def with_machine(home: Path | None, act: Callable[[LocalMachine], Awaitable[T]]) -> T:
    """What `act` makes of it. Raises VerbFailed, ConfigurationMissing."""

    async def work() -> T:
        from doorward.cli.session import own_machine

        async with own_machine(home) as machine:
            return await act(machine)

    return await where_configured(work())

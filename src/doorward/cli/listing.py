"""The words and JSON of `doorward list`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from doorward.cli.output import plain
from doorward.client.discovery import Discovered
from doorward.client.relay import services_of
from doorward.t3_connect.messages import EnvironmentEntry


class ListedMachine(EnvironmentEntry, frozen=True, kw_only=True):
    """The relay's entry, and how the machine was found: `online`, `offline`, or `unknown` with the reason."""

    status: str
    reason: str | msgspec.UnsetType = msgspec.UNSET


class ListAnswer(msgspec.Struct, frozen=True):
    machines: list[ListedMachine]


def list_answer(found: Iterable[Discovered]) -> ListAnswer:
    """For programs, in the relay's order."""
    return ListAnswer(
        [
            ListedMachine(
                **msgspec.structs.asdict(one.machine),
                status=_state(one),
                reason=one.reason or msgspec.UNSET,
            )
            for one in found
        ]
    )


def listed(found: Discovered) -> list[str]:
    """A machine's line and those of its services. Its names are its own word."""
    machine = found.machine
    services = [f"  {plain(service.name):<20} {plain(service.url)}" for service in services_of(machine)]
    reason = [f"  {plain(found.reason)}"] if found.availability == "error" else []
    return [f"{plain(machine.label)}  {_state(found)}  {plain(machine.environment_id)}", *services, *reason]


def _state(found: Discovered) -> str:
    return "unknown" if found.availability == "error" else found.availability

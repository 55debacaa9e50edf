"""Which machines there are and which of them answer, each as soon as it is known (connect-environment §7.4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from doorward.client.errors import ClientError
from doorward.client.relay import RelayClient
from doorward.jose import PrivateKey
from doorward.t3_connect.messages import EnvironmentEntry
from doorward.t3_connect.wire import known

Availability = Literal["checking", "online", "offline", "error"]
DeviceKeys = Callable[[str], PrivateKey]
"""The device's key for a machine, by the machine's id."""


@dataclass(frozen=True)
class Discovered:
    """One machine, so far as is known. `reason` says why it is offline or could not be asked about."""

    machine: EnvironmentEntry
    availability: Availability
    reason: str = ""


async def discover(
    relay: RelayClient, machines: Sequence[EnvironmentEntry], keys: DeviceKeys
) -> AsyncIterator[Discovered]:
    """Each machine once as `checking`, then, all asked at once, once more in the order in which answers come.

    A machine that cannot be asked about hides no other. Whoever stops listening ends the questions that are open.
    """
    for machine in machines:
        yield Discovered(machine, "checking")
    asking = [asyncio.create_task(_ask(relay, machine, keys)) for machine in machines]
    try:
        for answered in asyncio.as_completed(asking):
            yield await answered
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def _ask(relay: RelayClient, machine: EnvironmentEntry, keys: DeviceKeys) -> Discovered:
    try:
        status = await relay.status(machine, keys(machine.environment_id))
    except ClientError as error:
        return Discovered(machine, "error", str(error))
    return Discovered(machine, status.status, known(status.error) or "")

"""A device that asks to be let in, as the machine's mint service records it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from doorward.environment.app import create_environment
from doorward.environment.approvals.rules import Knock
from doorward.environment.settings import EnvironmentSettings
from doorward.outbound import Outbound
from doorward.store import system_clock


def knock(
    home: Path,
    thumbprint: str,
    *,
    label: str | None = None,
    os: str | None = None,
    device_id: str | None = None,
) -> None:
    """Record the request in the data folder of a machine; an agent that runs there hears of it."""

    async def work() -> None:
        outbound = Outbound()
        environment = await create_environment(
            EnvironmentSettings(home=home, label="Box"), outbound=outbound, clock=system_clock
        )
        try:
            environment.modes.initialise("client-approval")
            await environment.approvals.decide(
                Knock(
                    thumbprint=thumbprint,
                    cloud_user_id="user_ada",
                    device_id=device_id,
                    label=label,
                    device_type="mobile",
                    os=os,
                ),
                require_still_linked=lambda: None,
            )
        finally:
            await environment.stop()
            await outbound.close()

    asyncio.run(work())

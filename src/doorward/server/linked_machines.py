"""Brings what the relay knows of an account's machines to identity's console."""

from collections.abc import Sequence

from doorward.identity.linked_machines import LinkedMachine, LinkedMachines
from doorward.relay import LinkDirectory


def machines_in(directory: LinkDirectory) -> LinkedMachines:
    async def of_user(user_id: str) -> Sequence[LinkedMachine]:
        return [
            LinkedMachine(
                environment_id=listed.link.environment_id,
                label=listed.link.label,
                services=listed.service_names,
                linked_at=listed.link.created_at,
            )
            for listed in await directory.list(user_id)
        ]

    return of_user

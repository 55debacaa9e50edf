"""What is linked to an account: for its owner, and for whoever administers both servers."""

import msgspec

from doorward.relay.endpoints import store as endpoint_store
from doorward.relay.links import store
from doorward.relay.services import store as service_store
from doorward.store import Database


class ListedEnvironment(msgspec.Struct, frozen=True):
    """One active link with its service names, and the tunnel to ask the edge about (`None`: no tunnel)."""

    link: store.LinkRow
    service_names: tuple[str, ...]
    tunnel_id: str | None


async def linked_environments(database: Database, user_id: str) -> list[ListedEnvironment]:
    """Oldest first."""
    links, allocations, services = await database.ask(
        store.all_active(user_id),
        endpoint_store.linked_of_user(user_id),
        service_store.active_of_user(user_id),
    )
    tunnels = {
        row.environment_id: row.tunnel_id
        for row in endpoint_store.allocations_of(allocations)
        if row.is_ready
    }
    names: dict[str, list[str]] = {}
    for service in service_store.names_of(services):
        names.setdefault(service.environment_id, []).append(service.name)
    return [
        ListedEnvironment(link, tuple(names.get(link.environment_id, ())), tunnels.get(link.environment_id))
        for link in store.links_of(links)
    ]


class LinkDirectory:
    """For a node that has the relay's tables without being a relay."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, user_id: str) -> list[ListedEnvironment]:
        """Oldest first."""
        return await linked_environments(self._database, user_id)

"""At which host name a service is reached: a label of the zone, or a host of its owner's own. Pure."""

from collections.abc import Iterable

from doorward.relay.settings import CustomHost


class ServiceHosts:
    """One service has one host: cookies, tokens and assertions are bound to an origin.

    A custom host belongs to the service of that name *of one account*: were it the name alone, whoever claimed the name
    first would have the host.
    """

    def __init__(self, zone: str, custom_hosts: Iterable[CustomHost] = ()) -> None:
        """`zone` as `normalize_zone` gives it."""
        self._zone = zone
        self._by_service = {(custom.service, custom.account): custom.host for custom in custom_hosts}
        self._by_host = {host: name for (name, _), host in self._by_service.items()}

    def host_of(self, name: str, account: str) -> str:
        return self._by_service.get((name, account), f"{name}.{self._zone}")

    def name_at(self, host: str) -> str | None:
        """The name of the service a host could lead to; whose it is decides whether it does."""
        if host in self._by_host:
            return self._by_host[host]
        label = host.removesuffix(f".{self._zone}")
        return None if label == host else label

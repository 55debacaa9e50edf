"""One local service and where the world reaches it."""

from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from doorward.environment.settings import HostHeader

#: Why the relay gave a name no host, for people: what happened, and what to do.
REFUSALS = {
    "names_not_offered": "This relay gives no names to services. Clients of T3 Connect reach the machine all the same.",
    "name_taken": "This name belongs to somebody else. Expose it under another one.",
    "name_reserved": "This name is reserved. Expose it under another one.",
    "too_many_names": "Your account has as many names as it may. Free one, or expose the service under a name you had.",
    "name_invalid": "This is not a name for an address. Use letters, digits and hyphens.",
}


class PublishedService(msgspec.Struct, frozen=True, kw_only=True):
    """`public_url` is None until the relay gave the name a host; `refusal` says why it did not."""

    name: str
    host: str
    port: int
    host_header: HostHeader
    public_url: str | None = None
    refusal: str | None = None

    @property
    def problem(self) -> str | None:
        """`refusal` for people."""
        return None if self.refusal is None else REFUSALS.get(self.refusal, self.refusal)

    @property
    def origin(self) -> str:
        """`https://name.zone[:port]`; empty while the service has no public host."""
        if self.public_url is None:
            return ""
        parts = urlsplit(self.public_url)
        return f"{parts.scheme}://{parts.netloc.lower()}"

    @property
    def public_host(self) -> str:
        """The `Host` a browser sends, port included where it is not the scheme's own."""
        return self.origin.partition("://")[2]


@lru_cache(maxsize=256)
def hostname(host: str) -> str:
    """The name of a `Host` value, in lower case, without port."""
    return (urlsplit(f"//{host.strip()}").hostname or "") if host else ""

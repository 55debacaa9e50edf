"""What an environment is told when it is made."""

import re
from pathlib import Path
from typing import Literal

import msgspec

HostHeader = Literal["public", "local"]

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One local HTTP/WebSocket service to publish under `name` (a DNS label).

    `host_header` says which Host the service sees: the public one, or `localhost:<port>` for services
    that answer to nothing else.
    """

    name: str
    port: int
    host: str = "127.0.0.1"
    host_header: HostHeader = "public"

    def __post_init__(self) -> None:
        # The name becomes part of a host name and of a URL's path: nothing but a label may get that far.
        if not _LABEL.fullmatch(self.name):
            raise ValueError("a service's name has 1 to 63 letters, digits and dashes, in lower case")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"{self.port} is not a port")


class EnvironmentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`home` is the data folder (`DOORWARD_HOME`); state lives in `<home>/userdata`, sockets in `<home>/run`.

    `relay_url` and `accounts_origin` may be None: the environment then answers but never links.
    `remote_admin` lets a device approved as administrator list, approve standard devices, reject and
    revoke through the tunnel; everything else always needs the machine itself.
    `development_origins` are browser origins, besides the machine's own, whose pages may call the API.
    `edge_pins` are the only keys the tunnel's edge may have (`tunnel.read_pins`); none are any that is trusted.
    """

    home: Path
    label: str
    host: str = "127.0.0.1"
    port: int = 3773
    relay_url: str | None = None
    accounts_origin: str | None = None
    cli_client_id: str = "doorward-cli"
    gate_client_id: str = "doorward-gate"
    services: tuple[Service, ...] = ()
    remote_admin: bool = False
    development_origins: tuple[str, ...] = ()
    edge_pins: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.label.strip():
            raise ValueError("an environment needs a label")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"{self.port} is not a port")

    @property
    def state_dir(self) -> Path:
        return self.home / "userdata"

    @property
    def run_dir(self) -> Path:
        return self.home / "run"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.state_dir.absolute() / 'state.sqlite'}"

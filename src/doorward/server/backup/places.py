"""Where an installation keeps its databases and files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from doorward.server.configuration import load_serve_configuration
from doorward.server.env_file import load_env_file
from doorward.server.stages import PRODUCTION

KEY_FILE = "key-encryption.key"
#: Made anew by whoever runs, or of no use elsewhere; `tools` are downloads.
_LEFT_OUT = frozenset(("run", "stages", "logs", "tools"))
_LEFT_OUT_SUFFIXES = (".lock", ".log", ".tmp", ".partial", "-wal", "-shm", "-journal", ".sqlite")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """`root` is what names of files are relative to. A part that does not exist is None."""

    root: Path
    server_database: str | None
    """Its URL."""
    key_file: Path | None
    machine_database: Path | None

    def files(self) -> list[str]:
        """Every other file worth keeping, relative to the root, the key-encryption key not among them."""
        if not self.root.is_dir():
            return []
        return sorted(
            str(path.relative_to(self.root))
            for path in self.root.rglob("*")
            if path.is_file() and not path.is_symlink() and self._is_kept(path)
        )

    def _is_kept(self, path: Path) -> bool:
        relative = path.relative_to(self.root)
        return (
            _LEFT_OUT.isdisjoint(relative.parts[:-1])
            and not path.name.endswith(_LEFT_OUT_SUFFIXES)
            and not path.name.startswith(".")
            and path != self.key_file
        )


def place_of_config(path: Path) -> Place:
    """A server's place, from its doorward.toml. Raises ConfigurationInvalid."""
    configuration = load_serve_configuration(path)
    return _server(configuration.data, configuration.database_url)


def place_of_env_file(path: Path, stage: str = PRODUCTION) -> Place:
    """A relay's place, from its env file. Raises ConfigurationInvalid."""
    configuration = load_env_file(path, stage=stage).configuration
    return _server(configuration.data, configuration.database_url)


def _server(data: Path, url: str) -> Place:
    data = data.absolute()
    return Place(root=data, server_database=url, key_file=data / KEY_FILE, machine_database=None)


def new_home(home: Path, *, server_database: str | None = None) -> Place:
    """A data folder to be, with room for every part."""
    home = home.absolute()
    return Place(
        root=home,
        server_database=server_database or f"sqlite:///{home}/server/doorward.sqlite",
        key_file=home / "server" / KEY_FILE,
        machine_database=home / "userdata" / "state.sqlite",
    )


def place_of_home(home: Path, *, server_database: str | None = None) -> Place:
    """A data folder: `doorward up`'s with both parts, or a machine's alone. `server_database`: `up --database`."""
    home = home.absolute()
    server, state = home / "server", home / "userdata" / "state.sqlite"
    has_server = server_database is not None or (server / KEY_FILE).exists()
    return Place(
        root=home,
        server_database=(server_database or f"sqlite:///{server}/doorward.sqlite") if has_server else None,
        key_file=server / KEY_FILE if has_server else None,
        machine_database=state if state.exists() else None,
    )

"""Public configuration: which relay and which accounts server this home folder belongs to.

Nothing here is secret. Each value comes from the first that has it of: the process environment, the files `.env.local`
and `.env` in the home folder, and `connect.json` there (written by `doorward up` beside it). Names of T3 Code are accepted,
those of its builds too, so that one set of variables serves both programs; Doorward's own names win where both are set.

The files are those of the home folder, never of the folder a command happens to run in: a stored sign-in would go to
whatever relay a downloaded project names there.
"""

from __future__ import annotations

import base64
import binascii
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from doorward.client.environment_files import parse_environment_file
from doorward.client.errors import ConfigurationMissing
from doorward.t3_connect import secure_origin

CLI_CLIENT_ID = "doorward-cli"

_RELAY = (
    "DOORWARD_RELAY_URL",
    "T3CODE_RELAY_URL",
    "VITE_T3CODE_RELAY_URL",
    "EXPO_PUBLIC_T3CODE_RELAY_URL",
)
_KEY = (
    "DOORWARD_PUBLISHABLE_KEY",
    "T3CODE_CLERK_PUBLISHABLE_KEY",
    "CLERK_PUBLISHABLE_KEY",
    "VITE_CLERK_PUBLISHABLE_KEY",
    "EXPO_PUBLIC_CLERK_PUBLISHABLE_KEY",
)
_CLIENT = ("DOORWARD_CLI_OAUTH_CLIENT_ID", "T3CODE_CLERK_CLI_OAUTH_CLIENT_ID")
_AUTHORITY = ("DOORWARD_CA_FILE", "NODE_EXTRA_CA_CERTS")
_PINS = ("DOORWARD_EDGE_PINS",)
_FILES = (".env.local", ".env")
#: Every variable that says where the server is; none of them holds a secret.
VARIABLES = (*_RELAY, *_KEY, *_CLIENT, *_AUTHORITY, *_PINS)


class PublicConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """Origins without a trailing slash; `ca_file` is an extra certificate authority to trust, or None.

    `edge_pins` is the text that names the only keys a tunnel's edge may have, or None.
    """

    relay_url: str
    accounts_origin: str
    cli_client_id: str = CLI_CLIENT_ID
    ca_file: str | None = None
    edge_pins: str | None = None


def has_machine(home: Path) -> bool:
    """Whether this folder was ever a machine's."""
    return os.path.isdir(home / "userdata")  # no, where that cannot be seen


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The data folder: DOORWARD_HOME, else the platform's place for a user's data."""
    if named := environ.get("DOORWARD_HOME", "").strip():
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Doorward"
    data = environ.get("XDG_DATA_HOME", "").strip()
    return (Path(data) if data else Path.home() / ".local" / "share") / "doorward"


def accounts_origin_of(publishable_key: str) -> str:
    """The accounts origin inside a publishable key (`pk_live_` or `pk_test_` + base64 of `<host>$`).

    Plain HTTP is meant for `*.localhost` only; everything else is HTTPS.
    Raises ValueError when the text is not such a key.
    """
    parts = publishable_key.strip().split("_")
    if len(parts) != 3 or parts[0] != "pk" or parts[1] not in ("live", "test"):
        raise ValueError("a publishable key looks like pk_live_… or pk_test_…")
    try:
        host = base64.b64decode(parts[2] + "=" * (-len(parts[2]) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("the part after the second underscore is not base64 text") from error
    host = host.removesuffix("$")
    name = urlsplit(f"//{host}").hostname
    if not name or "/" in host or "$" in host:
        raise ValueError("the key does not hold a host name")
    scheme = "http" if name.endswith(".localhost") else "https"
    return f"{scheme}://{host}"


def publishable_key_of(accounts_origin: str, *, development: bool) -> str:
    """The key Clerk's SDKs and T3 clients take for an accounts origin; without base64 padding, as they expect.

    Raises ValueError for a host without a dot: Clerk's SDKs take no such key.
    """
    host = urlsplit(accounts_origin).netloc
    if "." not in host:
        raise ValueError(f"Clerk's SDKs take no key for a host without a dot, as {host!r} is")
    payload = base64.b64encode(f"{host}$".encode()).decode().rstrip("=")
    return f"pk_{'test' if development else 'live'}_{payload}"


def load_configuration(home: Path, environ: Mapping[str, str] = os.environ) -> PublicConfiguration:
    """Read the public configuration. Raises ConfigurationMissing with the variables to set."""
    sources = [environ, *(_file(home / name) for name in _FILES)]
    stored = _stored(home)
    relay = _first(sources, _RELAY) or (stored.relay_url if stored else "")
    key = _first(sources, _KEY)
    missing = []
    if not relay:
        missing.append(_RELAY[0])
    if not key and stored is None:
        missing.append(_KEY[0])
    if missing:
        raise ConfigurationMissing(
            "No Doorward server is known here. "
            f"Set {' and '.join(missing)}, in the environment or in {home / '.env'} "
            "(the server's start banner prints them), or run this command with the DOORWARD_HOME of a running `doorward up`."
        )
    return PublicConfiguration(
        relay_url=_relay_origin(relay),
        accounts_origin=_accounts_origin(key) if key or stored is None else stored.accounts_origin,
        cli_client_id=_first(sources, _CLIENT) or (stored.cli_client_id if stored else CLI_CLIENT_ID),
        ca_file=_first(sources, _AUTHORITY) or (stored.ca_file if stored else None),
        edge_pins=_first(sources, _PINS) or (stored.edge_pins if stored else None),
    )


def _relay_origin(url: str) -> str:
    try:
        return secure_origin(url)
    except ValueError as error:
        raise ConfigurationMissing(
            f"The relay's address cannot be used: {error}. Set {_RELAY[0]} to an origin such as https://relay.example.com,"
            " without a path."
        ) from error


def _accounts_origin(publishable_key: str) -> str:
    """Never repeats the value: a secret key pasted here by mistake would be shown."""
    try:
        return accounts_origin_of(publishable_key)
    except ValueError as error:
        raise ConfigurationMissing(
            f"The publishable key cannot be used: {error}. Set {_KEY[0]} to the server's own (its start banner prints it)."
        ) from error


def authority_file(home: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The extra certificate authority alone, for whoever is told by other means where the server is. Raises ConfigurationMissing."""
    stored = _stored(home)
    found = _first([environ, *(_file(home / name) for name in _FILES)], _AUTHORITY)
    named = found or (stored.ca_file if stored else None)
    return Path(named) if named else None


def save_configuration(home: Path, configuration: PublicConfiguration) -> None:
    """Write `connect.json`, so that commands run with the same home folder find the server."""
    path = home / "connect.json"
    text = msgspec.json.format(msgspec.json.encode(configuration), indent=2) + b"\n"
    partial = path.with_suffix(".partial")
    partial.write_bytes(text)
    partial.replace(path)


def _stored(home: Path) -> PublicConfiguration | None:
    try:
        text = (home / "connect.json").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(home / "connect.json", error.strerror) from error
    try:
        return msgspec.json.decode(text, type=PublicConfiguration)
    except msgspec.DecodeError as error:
        raise ConfigurationMissing(
            f"{home / 'connect.json'} is damaged ({error}). Delete it and start `doorward up` again."
        ) from error


def _file(path: Path) -> Mapping[str, str]:
    try:
        return parse_environment_file(
            path.read_text("utf-8-sig")
        )  # with the mark that some editors begin with
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not UTF-8 text") from error


def _unreadable(path: Path, reason: str | None) -> ConfigurationMissing:
    return ConfigurationMissing(
        f"{path} cannot be read ({reason}). Mend that, or choose another folder with --home or DOORWARD_HOME."
    )


def _first(sources: Sequence[Mapping[str, str]], names: tuple[str, ...]) -> str:
    """The first non-blank variable of the first source that has one; blank means absent."""
    return next(
        (value for source in sources for name in names if (value := source.get(name, "").strip())), ""
    )

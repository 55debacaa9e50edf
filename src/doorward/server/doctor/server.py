"""A server: what its configuration promises, against what is there."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from doorward import __version__
from doorward.identity.app import SCHEMA as IDENTITY_SCHEMA
from doorward.outbound import Outbound, Response, is_localhost
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.server.backup import postgresql
from doorward.server.backup.places import KEY_FILE
from doorward.server.configuration import ConfigurationInvalid, ServeConfiguration, load_serve_configuration
from doorward.server.doctor import network
from doorward.server.doctor.findings import Finding, ok, problem, warning
from doorward.server.env_file import load_env_file
from doorward.server.keys import KeyRing
from doorward.store import (
    DatabaseFailed,
    KeyFileRefused,
    Schema,
    SealBroken,
    StoreError,
    open_database,
    system_clock,
)
from doorward.store.migrations import newest_revision, sqlite_version
from doorward.store.sealing import key_ids
from doorward.store.sqlite_files import path_of, store_error
from doorward.tunnel.edge import TUNNEL_PATH

FREE_BYTES = 500 * 1024 * 1024
_CONFIGURATION = "configuration"


async def examine_server(config: Path | None, env_file: Path | None, stage: str) -> AsyncIterator[Finding]:
    """Every finding about the server, in the order to mend them."""
    try:
        if env_file is not None:
            configuration = load_env_file(env_file, stage=stage).configuration
        else:
            assert config is not None
            configuration = load_serve_configuration(config)
    except ConfigurationInvalid as error:
        yield problem(
            _CONFIGURATION,
            str(error),
            why="The server does not start.",
            mend="Correct it; see docs/operations.md.",
        )
        return
    yield ok(_CONFIGURATION, "The configuration can be read.")
    for finding in (*_versions(), *_settings(configuration), *_folder(configuration)):
        yield finding
    async for finding in _database(configuration):
        yield finding
    outbound = Outbound(ca_file=configuration.ca_file)
    try:
        async for finding in _from_outside(configuration, outbound):
            yield finding
    finally:
        await outbound.close()


def _versions() -> list[Finding]:
    found = [ok("version", f"Doorward {__version__} on Python {sys.version.split()[0]}.")]
    if sqlite3.sqlite_version_info < (3, 35):
        found.append(
            problem(
                "sqlite_version",
                f"SQLite is {sqlite3.sqlite_version}.",
                why="Doorward's SQL needs 3.35.",
                mend="Use a Python built with a newer SQLite.",
            )
        )
    return found


def _settings(configuration: ServeConfiguration) -> list[Finding]:
    """What is allowed and still hardly meant."""
    found = []
    listens_behind = configuration.tls is None and not _is_local(configuration)
    if listens_behind and not configuration.listen.trusted_proxies:
        found.append(
            warning(
                "trusted_proxies",
                "TLS ends in front of this node, and listen.trusted_proxies names no front.",
                why="Every request seems to come from the front: limits by address hit everybody at once, and the audit "
                "trail names nobody.",
                mend='Write trusted_proxies = ["127.0.0.1"] (the front\'s address) under [listen].',
            )
        )
    if "identity" in configuration.roles and configuration.mail is None and not _is_local(configuration):
        found.append(
            warning(
                "mail",
                "There is no [mail] section: codes are printed to the log instead of sent.",
                why="Nobody can sign up or reset a password, and whoever reads the log can.",
                mend="Name a mail server under [mail].",
            )
        )
    return found


def _folder(configuration: ServeConfiguration) -> list[Finding]:
    data, key_file = configuration.data, configuration.data / KEY_FILE
    if not data.is_dir():
        return [
            problem(
                "data_folder",
                f"The data folder {data} does not exist.",
                why="The server never ran here, or the folder is not mounted.",
                mend="Start the server once, or restore a backup: doorward restore.",
            )
        ]
    found = []
    free = shutil.disk_usage(data).free
    if free < FREE_BYTES:
        found.append(
            warning(
                "disk",
                f"{free // 1024**2} MB are free where {data} is.",
                why="A full disk refuses every sign-in and approval.",
                mend="Free some space.",
            )
        )
    try:
        ids = key_ids(key_file)
    except StoreError as error:
        return [
            *found,
            problem("key_file", str(error), why="The server does not start.", mend="See the sentence above."),
        ]
    if not ids:
        found.append(
            problem(
                "key_file",
                f"There is no key file {key_file}.",
                why="Without the key that belongs to the database, nothing sealed opens: no token can be signed.",
                mend="Bring it back from where you keep it. A fresh installation makes it at its first start.",
            )
        )
    else:
        found.append(ok("key_file", f"The key file holds {len(ids)} key{'s' if len(ids) > 1 else ''}."))
    return found


async def _database(configuration: ServeConfiguration) -> AsyncIterator[Finding]:
    url = configuration.database_url
    schemas = [RELAY_SCHEMA]
    if "identity" in configuration.roles:
        schemas.insert(0, IDENTITY_SCHEMA)
    if url.startswith("sqlite:") and not path_of(url).exists():
        yield problem(
            "database",
            f"There is no database {path_of(url)}.",
            why="The server never ran here, or it was moved.",
            mend="Start the server once, or restore a backup: doorward restore.",
        )
        return
    try:
        versions = await asyncio.to_thread(_stored_versions, url, schemas)
    except StoreError as error:
        yield problem("database", str(error), why="Nothing works without it.", mend="See the sentence above.")
        return
    for schema in schemas:
        stored, newest = versions.get(schema.name), newest_revision(schema)
        if stored is not None and stored > newest:
            yield problem(
                "schema",
                f"The {schema.name} tables have version {stored}, this Doorward knows {newest}.",
                why="An older program does not touch data of a newer one.",
                mend="Install the newer Doorward again, or restore a backup from before the upgrade.",
            )
            return
        if stored != newest:
            yield warning(
                "schema",
                f"The {schema.name} tables have version {stored or 'none'}, this Doorward brings {newest}.",
                why="The next start migrates them.",
                mend="Take a backup, then restart the server.",
            )
            return
    yield ok("database", "The database answers, and its tables are of this version.")
    async for finding in _keys(configuration, schemas):
        yield finding


async def _keys(configuration: ServeConfiguration, schemas: list[Schema]) -> AsyncIterator[Finding]:
    """Whether the key file opens what the database holds. Only with all tables can the ring look at them."""
    key_file = configuration.data / KEY_FILE
    if len(schemas) < 2 or not _key_ids(key_file):
        return
    database = await open_database(configuration.database_url, schemas=schemas)
    ring = KeyRing(database, key_file, system_clock)
    try:
        count, keys = await ring.open_all(), await ring.list()
    except SealBroken as error:
        yield problem(
            "keys",
            str(error),
            why="What does not open is lost to the server: it cannot sign.",
            mend=f"Bring back the {key_file} that belongs to this database.",
        )
        return
    finally:
        await database.close()
    if any(key.state == "active" for key in keys.signing):
        yield ok("keys", f"The key file opens all {count} sealed values.")
    else:
        yield problem(
            "keys",
            "There is no active signing key.",
            why="No token can be signed.",
            mend="Start the server once: it makes one.",
        )


def _key_ids(key_file: Path) -> list[str]:
    """None for a file that is told about already."""
    try:
        return key_ids(key_file)
    except KeyFileRefused:
        return []


async def _from_outside(configuration: ServeConfiguration, outbound: Outbound) -> AsyncIterator[Finding]:
    """Names, certificates and answers of the public origins, whichever node serves them."""
    zone = configuration.relay.zone
    places = [
        ("accounts", configuration.identity.origin, "an address record for it to the front"),
        ("relay", configuration.relay.origin, "an address record for it to the front"),
    ]
    if configuration.relay.provider == "embedded":
        anybody = f"{urlsplit(configuration.edge.url).scheme}://{network.some_name_in(zone)}"
        places += [
            ("edge", configuration.edge.url, "an address record for it to the edge"),
            ("machines", anybody, f"a wildcard record *.{zone.partition(':')[0]} to the edge"),
        ]
    for check, origin, record in places:
        host = urlsplit(origin).hostname or ""
        name = await network.check_name(f"{check}_dns", host, mend=f"Create {record}.")
        yield name
        if name.level != "ok":
            continue
        if origin.startswith("https:"):
            certificate = await network.check_certificate(
                f"{check}_tls", origin, ca_file=configuration.ca_file
            )
            yield certificate
            if certificate.level == "problem":
                continue
        async for finding in _answers(check, origin, configuration, outbound):
            yield finding


async def _answers(
    check: str, origin: str, configuration: ServeConfiguration, outbound: Outbound
) -> AsyncIterator[Finding]:
    """Whether the right part of Doorward answers at a public origin."""
    paths = {"relay": "/health", "edge": TUNNEL_PATH.decode(), "machines": "/"}
    url = configuration.jwks_url if check == "accounts" else origin.rstrip("/") + paths[check]
    answer = await network.ask(outbound, url)
    if isinstance(answer, str):
        yield problem(
            check,
            answer,
            why="Nobody can reach it.",
            mend="Start that node and its front, open the port in the firewall, and see the front's own log.",
        )
        return
    if check == "relay" and (clock := network.check_clock("clock", "the relay", answer)):
        yield clock
    complaint = _complaint(check, answer)
    if complaint is None:
        yield ok(check, f"{origin} is answered as it should be.")
    else:
        yield problem(
            check,
            f"{url} answers {answer.status}: {complaint}",
            why="Sign-ins, links or visits fail there.",
            mend="See that the front sends this host name to the right listener, keeps Host, and allows upgrades; "
            "deploy/ has configurations that do.",
        )


class _Problem(msgspec.Struct):
    error: str = ""


def _complaint(check: str, answer: Response) -> str | None:
    """What is wrong with an answer; the edge's own refusals are how it is recognised."""
    if check == "accounts":
        return None if answer.status == 200 and b'"keys"' in answer.body else "that is no key set."
    if check == "relay":
        return None if answer.status == 200 and b'"relay"' in answer.body else "that is not a healthy relay."
    try:
        code = msgspec.json.decode(answer.body, type=_Problem).error
    except msgspec.MsgspecError:
        code = ""
    expected = (426, "upgrade_required") if check == "edge" else (404, "unknown_host")
    return None if (answer.status, code) == expected else "that is not Doorward's edge."


def _stored_versions(url: str, schemas: list[Schema]) -> dict[str, str]:
    """The version of each schema's tables, without migrating anything; SQLite's file is checked for damage besides."""
    if not url.startswith("sqlite:"):
        return postgresql.versions(url, schemas)
    try:
        with closing(sqlite3.connect(f"{path_of(url).as_uri()}?mode=rw", uri=True)) as connection:
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise DatabaseFailed(f"The database file is damaged ({damage}). Restore it from a backup.")
            return {schema.name: found for schema in schemas if (found := sqlite_version(connection, schema))}
    except sqlite3.Error as error:
        raise store_error(error) from error


def _is_local(configuration: ServeConfiguration) -> bool:
    return is_localhost(urlsplit(configuration.relay.origin).hostname or "")

"""Backup and restore. Blocking: commands run them, no server does."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from doorward import __version__
from doorward.environment.environment import SCHEMA as ENVIRONMENT_SCHEMA
from doorward.identity.app import SCHEMA as IDENTITY_SCHEMA
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.server.backup import postgresql
from doorward.server.backup.archive import (
    ArchiveWriter,
    BackupFailed,
    BackupUnreadable,
    Manifest,
    unpack,
    writing,
)
from doorward.server.backup.places import KEY_FILE, Place
from doorward.store import Schema, Sealer, migrations, system_clock
from doorward.store.sealing import key_ids
from doorward.store.sqlite_files import path_of, store_error

Say = Callable[[str], None]

SERVER_SCHEMAS = (IDENTITY_SCHEMA, RELAY_SCHEMA)
_SERVER, _TABLES, _MACHINE, _FILES = "server.sqlite", "server.postgresql", "machine.sqlite", "files"
_VERSION = re.compile(r"\d{4}")


def backup(place: Place, target: Path, *, with_keys: bool) -> Manifest:
    """Write a backup of what is there now to `target`, a new file. Raises BackupFailed, StoreError."""
    if place.server_database is None and place.machine_database is None:
        raise BackupFailed(
            f"There is nothing to back up in {place.root}. Name the folder with --home or --config."
        )
    if not target.parent.is_dir():
        raise BackupFailed(f"There is no folder {target.parent}. Make it, or choose another place.")
    try:
        with (
            tempfile.TemporaryDirectory(dir=target.parent, prefix=".doorward-backup-") as name,
            writing(target) as archive,
        ):
            return _fill(archive, place, Path(name), with_keys=with_keys)
    except OSError as error:
        raise BackupFailed(f"Cannot write the backup: {error.strerror} ({error.filename}).") from error


def _fill(archive: ArchiveWriter, place: Place, folder: Path, *, with_keys: bool) -> Manifest:
    """What is there now, copied to `folder` first where it is a database that others write to."""
    versions: dict[str, str] = {}
    dialect = None
    if place.server_database is not None and _is_sqlite(place.server_database):
        dialect = "sqlite"
        versions |= _copy(path_of(place.server_database), folder / _SERVER, SERVER_SCHEMAS)
        archive.add(_SERVER, folder / _SERVER)
    elif place.server_database is not None:
        dialect = "postgresql"
        (folder / _TABLES).mkdir()
        versions |= postgresql.dump(place.server_database, SERVER_SCHEMAS, folder / _TABLES)
        for path in sorted((folder / _TABLES).iterdir()):
            archive.add(f"{_TABLES}/{path.name}", path)
    if place.machine_database is not None:
        versions |= _copy(place.machine_database, folder / _MACHINE, (ENVIRONMENT_SCHEMA,))
        archive.add(_MACHINE, folder / _MACHINE)
    for relative in place.files():
        archive.add(f"{_FILES}/{relative}", place.root / relative)
    if with_keys and place.key_file is not None:
        archive.add(KEY_FILE, place.key_file)
    return archive.finish(
        doorward=__version__,
        created_at=system_clock(),
        dialect=dialect,
        schemas=versions,
        key_ids=[] if place.key_file is None else key_ids(place.key_file),
        has_keys=with_keys and place.key_file is not None,
    )


def restore(source: Path, place: Place, *, key_file: Path | None = None) -> Manifest:
    """Bring a backup back where nothing is yet. `key_file`: the key-encryption key, where the backup is without it.

    Everything is read and checked before anything is put in place. Raises BackupFailed, StoreError.
    """
    for file in (source, key_file):
        _require_readable(file)
    try:
        place.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.root, prefix=".doorward-restore-") as name:
            folder = Path(name)
            manifest = unpack(source, folder)
            _require_known_versions(manifest)
            _provide_key(manifest, folder, key_file)
            moves = _moves(manifest, folder, place)
            _require_nothing_there(manifest, place, [target for _, target in moves])
            if manifest.dialect == "postgresql":
                _load_postgresql(manifest, folder / _TABLES, place)
            for origin, target in moves:
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _put(origin, target)
            return manifest
    except OSError as error:
        raise BackupFailed(f"Cannot restore: {error.strerror} ({error.filename}).") from error


def _put(origin: Path, target: Path) -> None:
    """Unlike a rename, never over a file that appeared meanwhile."""
    try:
        os.link(origin, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = target.with_name(f".{target.name}.partial")
        shutil.copy2(origin, draft)
        try:
            os.link(draft, target)
        finally:
            draft.unlink()


def _copy(path: Path, target: Path, schemas: tuple[Schema, ...]) -> dict[str, str]:
    """A consistent copy while others write (SQLite's backup interface); the version of each schema in it."""
    if not path.exists():
        raise BackupFailed(f"The database {path} does not exist: nothing ever ran there.")
    try:
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy, pages=4096)
            # A copy is one file, without a journal beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            if copy.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise BackupFailed(f"The database {path} is damaged; nothing was written.")
            versions = {
                schema.name: stored
                for schema in schemas
                if (stored := migrations.sqlite_version(copy, schema))
            }
    except sqlite3.Error as error:
        raise store_error(error) from error
    target.chmod(0o600)
    return versions


def _require_known_versions(manifest: Manifest) -> None:
    for schema in (*SERVER_SCHEMAS, ENVIRONMENT_SCHEMA):
        stored = manifest.schemas.get(schema.name)
        if stored is not None and not _VERSION.fullmatch(stored):
            raise BackupFailed(f"The backup names {stored!r} as the version of its {schema.name} tables.")
        migrations.is_due(schema, stored)  # raises SchemaTooNew


def _require_readable(file: Path | None) -> None:
    try:
        if file is not None:
            file.open("rb").close()
    except OSError as error:
        raise BackupUnreadable(f"Cannot read {file}: {error.strerror}.") from error


def _provide_key(manifest: Manifest, folder: Path, key_file: Path | None) -> None:
    """The backup's own key file, or a copy of the given one, which must hold the keys that the values need."""
    if manifest.dialect is None:
        return
    if not manifest.has_keys:
        if key_file is None:
            raise BackupFailed(
                "This backup is without the key-encryption key, on purpose. Name your copy with --key-file."
            )
        shutil.copyfile(key_file, folder / KEY_FILE)
        (folder / KEY_FILE).chmod(0o600)
    Sealer.from_file(folder / KEY_FILE)
    lacking = set(manifest.key_ids) - set(key_ids(folder / KEY_FILE))
    if lacking:
        raise BackupFailed(
            f"The key file does not belong to this backup: it lacks the key {', '.join(sorted(lacking))}."
        )


def _moves(manifest: Manifest, folder: Path, place: Place) -> list[tuple[Path, Path]]:
    """What goes where, databases last: who finds one finds its keys."""
    files = [
        (folder / member.name, place.root / member.name.removeprefix(f"{_FILES}/"))
        for member in manifest.members
        if member.name.startswith(f"{_FILES}/")
    ]
    names = {member.name for member in manifest.members}
    if manifest.dialect is not None:
        if place.key_file is None or place.server_database is None:
            raise BackupFailed("This backup is of a server. Restore it with --config, or into a new --home.")
        files.append((folder / KEY_FILE, place.key_file))
        if _is_sqlite(place.server_database) != (manifest.dialect == "sqlite"):
            raise BackupFailed(
                f"This backup is of {manifest.dialect}, and the configuration names another kind of database."
            )
    if _SERVER in names and place.server_database is not None:
        files.append((folder / _SERVER, path_of(place.server_database)))
    if _MACHINE in names:
        if place.machine_database is None:
            raise BackupFailed("This backup is of a machine. Restore it into a new --home.")
        files.append((folder / _MACHINE, place.machine_database))
    return files


def _require_nothing_there(manifest: Manifest, place: Place, targets: list[Path]) -> None:
    for target in targets:
        if target.exists():
            raise BackupFailed(
                f"{target} exists already, and a restore never overwrites. Move it away, or restore elsewhere."
            )
    if (
        manifest.dialect == "postgresql"
        and place.server_database is not None
        and not postgresql.is_empty(place.server_database, SERVER_SCHEMAS)
    ):
        raise BackupFailed(
            "The PostgreSQL database holds tables of Doorward already, and a restore never overwrites. "
            "Create an empty database and name it in the configuration."
        )


def _load_postgresql(manifest: Manifest, folder: Path, place: Place) -> None:
    assert place.server_database is not None
    schemas = [schema for schema in SERVER_SCHEMAS if schema.name in manifest.schemas]
    migrations.migrate_postgresql(place.server_database, schemas, to=manifest.schemas)
    postgresql.load(place.server_database, schemas, folder)


def _is_sqlite(url: str) -> bool:
    return url.startswith("sqlite:")

"""`doorward backup` and `doorward restore`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from doorward.cli.options import json_option
from doorward.cli.output import answer_json, fail
from doorward.cli.places import place_of, place_options

if TYPE_CHECKING:
    from doorward.server.backup.archive import Manifest

T = TypeVar("T")


class Written(msgspec.Struct, frozen=True, rename="camel"):
    """What `backup --json` and `restore --json` answer."""

    file: str
    members: int
    bytes: int
    has_keys: bool
    schemas: dict[str, str]


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--with-keys",
    is_flag=True,
    help="Put the key-encryption key in as well. Then this one file can sign as the server: keep it as safe.",
)
@place_options
@json_option
def backup(file: Path, with_keys: bool, as_json: bool, **options: Any) -> None:
    """Write all of a server or machine to FILE."""
    from doorward.server.backup.service import backup as run_backup

    place = place_of(**options, as_json=as_json)
    manifest = _told(lambda: run_backup(place, file.absolute(), with_keys=with_keys), as_json)
    if as_json:
        answer_json(_written(file, manifest))
        return
    print(f"Written: {file} ({len(manifest.members)} members).")
    if place.key_file is not None and not with_keys:
        print(
            f"The key-encryption key is not in it. Keep a copy of {place.key_file} apart: nothing opens without it."
        )
    if place.machine_database is not None:
        print("It holds this machine's secrets. Keep it where only you can read it.")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key-file", type=click.Path(path_type=Path), help="The key-encryption key, for a backup without it."
)
@place_options
@json_option
def restore(file: Path, key_file: Path | None, as_json: bool, **options: Any) -> None:
    """Bring FILE back, where nothing is yet."""
    from doorward.server.backup.service import restore as run_restore

    place = place_of(**options, is_new=True, as_json=as_json)
    manifest = _told(lambda: run_restore(file, place, key_file=key_file), as_json)
    if as_json:
        answer_json(_written(file, manifest))
        return
    print(f"Restored {file} into {place.root}. Start it as before.")


def _told(work: Callable[[], T], as_json: bool) -> T:
    from doorward.server.backup.archive import BackupFailed
    from doorward.store import StoreError

    try:
        return work()
    except (BackupFailed, StoreError) as error:
        fail(str(error), code=error.code, as_json=as_json)


def _written(file: Path, manifest: Manifest) -> Written:
    return Written(
        file=str(file),
        members=len(manifest.members),
        bytes=sum(member.size for member in manifest.members),
        has_keys=manifest.has_keys,
        schemas=manifest.schemas,
    )

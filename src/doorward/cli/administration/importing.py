"""`doorward users import`: another system's users, with the hashes of their passwords."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
import msgspec

from doorward.cli.administration.options import Target, administration
from doorward.cli.output import answer_json, plain

if TYPE_CHECKING:
    from doorward.cli.administration.api import Api
    from doorward.cli.administration.importers.files import Rows
    from doorward.identity.backend_api.wire.user_imports import ImportUser

SYSTEMS = ("clerk", "auth0", "supabase", "firebase", "generic")
BATCH = 200
#: The server reads at most 1 MiB at once.
BATCH_BYTES = 900_000
TOLD_AT_MOST = 10


class Report(msgspec.Struct, rename="camel"):
    """What `--json` answers. `read` is the sum of the others."""

    read: int = 0
    created: int = 0
    existing: int = 0
    skipped: int = 0
    refused: int = 0
    dry_run: bool = False


class Reject(msgspec.Struct, rename="camel"):
    """A line of the file of `--rejects`."""

    line: int
    code: str
    reason: str
    email_address: str | None = None
    external_id: str | None = None


@dataclass(frozen=True)
class Source:
    """A file and how its rows are read."""

    path: Path
    read: Callable[[Any], ImportUser]
    inside: str | None = None
    has_header: bool = True


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from", "system", type=click.Choice(SYSTEMS), required=True, help="Where the file comes from."
)
@click.option(
    "--hash-config", type=click.Path(path_type=Path), help="firebase: what the console shows as hash_config."
)
@click.option("--hasher", help="generic: what made password_digest, where no column password_hasher says it.")
@click.option(
    "--column", "columns", multiple=True, metavar="OURS=THEIRS", help="generic: a column of another name."
)
@click.option("--dry-run", is_flag=True, help="Judge every row, and make nobody.")
@click.option(
    "--rejects", type=click.Path(path_type=Path), help="Write a line here for each row that was refused."
)
@administration
def import_users(
    target: Target,
    file: Path,
    system: str,
    hash_config: Path | None,
    hasher: str | None,
    columns: tuple[str, ...],
    dry_run: bool,
    rejects: Path | None,
) -> None:
    """Take over the users of FILE. They come with the hashes of their passwords, and go on signing in as before.

    Whoever is here already (by id, external id or address) stays as they are, so an import that was interrupted is simply run
    again. Ends with 1 where rows were refused; the others are here.
    """
    if rejects is not None and any(_is_same(rejects, one) for one in (file, hash_config)):
        target.fail(
            f"--rejects {rejects} would overwrite what is read. Name another file.", code="option_invalid"
        )
    report = Report(dry_run=dry_run)
    with _rejects(target, rejects) as keep:

        async def work(api: Api) -> None:
            from doorward.cli.administration.importers.files import Rows

            source = _source(target, file, system, hash_config, hasher, columns)
            with Rows(source.path, inside=source.inside, has_header=source.has_header) as rows:
                await Import(api, report, keep, _Progress(rows, report)).run(rows, source.read)

        target.run(work)
    _tell(target, report, rejects)


class Import:
    """One run: rows are judged here as far as their form goes, and sent in batches, each of which is one transaction."""

    def __init__(self, api: Api, report: Report, keep: Callable[[Reject], None], progress: _Progress) -> None:
        self._api = api
        self._report = report
        self._keep = keep
        self._progress = progress
        self._batch: list[tuple[int, ImportUser]] = []
        self._bytes = 0

    async def run(self, rows: Rows, read: Callable[[Any], ImportUser]) -> None:
        from doorward.cli.administration.importers.rows import BadRow, Skipped

        try:
            for line, row in rows:
                self._report.read += 1
                try:
                    user = read(row)
                except Skipped as skipped:
                    self._report.skipped += 1
                    self._keep(Reject(line, "skipped", f"Left out: {skipped}."))
                except BadRow as bad:
                    self._refuse(Reject(line, "row_invalid", str(bad)))
                else:
                    await self._add(line, user)
            await self._send()
        finally:
            self._progress.end()

    async def _add(self, line: int, user: ImportUser) -> None:
        size = len(msgspec.json.encode(user))
        if self._batch and (len(self._batch) >= BATCH or self._bytes + size > BATCH_BYTES):
            await self._send()
        self._batch.append((line, user))
        self._bytes += size

    async def _send(self) -> None:
        if not self._batch:
            return
        batch, self._batch, self._bytes = self._batch, [], 0
        body = {"users": [user for _, user in batch], "dry_run": self._report.dry_run}
        answer = await self._api.ask("POST", "/users/import", body=body)
        for (line, user), outcome in zip(batch, answer["data"], strict=True):
            match outcome["outcome"]:
                case "created":
                    self._report.created += 1
                case "exists":
                    self._report.existing += 1
                case _:
                    errors = outcome["errors"]
                    reason = " ".join(error["long_message"] or error["message"] for error in errors)
                    self._refuse(
                        Reject(
                            line,
                            errors[0]["code"],
                            reason,
                            next(iter(user.email_address), None),
                            user.external_id or user.id,
                        )
                    )
        self._progress.show()

    def _refuse(self, reject: Reject) -> None:
        self._report.refused += 1
        self._keep(reject)


class _Progress:
    """A line on a terminal that is written over, on standard error."""

    def __init__(self, rows: Rows, report: Report) -> None:
        self._rows = rows
        self._report = report
        self._is_shown = sys.stderr.isatty()

    def show(self) -> None:
        if self._is_shown:
            text = f"{self._rows.share:4.0%}  {self._report.read:,} rows read, {_counted(self._report)}"
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _source(
    target: Target,
    file: Path,
    system: str,
    hash_config: Path | None,
    hasher: str | None,
    columns: tuple[str, ...],
) -> Source:
    if hash_config is not None and system != "firebase":
        target.fail("--hash-config goes with --from firebase.", code="option_invalid")
    if (hasher is not None or columns) and system != "generic":
        target.fail("--hasher and --column go with --from generic.", code="option_invalid")
    match system:
        case "clerk":
            from doorward.cli.administration.importers import clerk

            return Source(file, clerk.user)
        case "auth0":
            from doorward.cli.administration.importers import auth0

            return Source(file, auth0.user)
        case "supabase":
            from doorward.cli.administration.importers import supabase

            return Source(file, supabase.user)
        case "firebase":
            from doorward.cli.administration.importers import firebase

            config = None if hash_config is None else firebase.load_hash_config(hash_config)
            if config is None and not target.as_json:
                print(
                    "Without --hash-config nobody's password comes along: each has to set a new one.",
                    file=sys.stderr,
                )
            return Source(file, firebase.reader(config), inside="users", has_header=False)
        case _:
            from doorward.cli.administration.importers import generic

            return Source(file, generic.reader(_mapping(target, columns, generic.COLUMNS), hasher))


def _mapping(target: Target, columns: tuple[str, ...], known: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in columns:
        ours, sign, theirs = text.partition("=")
        if not sign or ours not in (*known, "email_verified"):
            target.fail(
                f"--column {text}: write OURS=THEIRS, where OURS is one of {', '.join(known)}, email_verified.",
                code="option_invalid",
            )
        found[ours] = theirs
    return found


@contextlib.contextmanager
def _rejects(target: Target, path: Path | None) -> Iterator[Callable[[Reject], None]]:
    """Keeps refused rows in the file, or tells the first few."""
    if path is None:
        told = 0

        def tell(reject: Reject) -> None:
            nonlocal told
            told += 1
            if not target.as_json and told <= TOLD_AT_MOST:
                who = f" ({plain(reject.email_address)})" if reject.email_address else ""
                text = f"line {reject.line}{who}: {plain(reject.reason)}"
                print("\r\x1b[K" * sys.stderr.isatty() + text, file=sys.stderr)

        yield tell
        return
    try:
        file = _private_file(path)
    except OSError as error:
        target.fail(f"{path} cannot be written ({error.strerror}).", code="file_unwritable")
    with file:
        yield lambda reject: print(msgspec.json.encode(reject).decode(), file=file, flush=True)


def _is_same(one: Path, other: Path | None) -> bool:
    try:
        return other is not None and one.samefile(other)
    except OSError:
        return False  # one of them is not there


def _private_file(path: Path) -> TextIO:
    """A new file, or an old one emptied, that only this user reads. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


def _counted(report: Report) -> str:
    made = "could be made" if report.dry_run else "made"
    words = [f"{report.created:,} {made}", f"{report.existing:,} known", f"{report.refused:,} refused"]
    if report.skipped:
        words.append(f"{report.skipped:,} left out")
    return ", ".join(words)


def _tell(target: Target, report: Report, rejects: Path | None) -> None:
    if target.as_json:
        answer_json(report)
    else:
        print(f"{report.read:,} {'row' if report.read == 1 else 'rows'}: {_counted(report)}.")
        if report.dry_run:
            print("Nobody was made: this was a dry run.")
        if report.refused and rejects is not None:
            print(f"Each refused row is in {rejects}, with its line and the reason.")
        elif report.refused > TOLD_AT_MOST:
            print("Add --rejects FILE to see every refused row.")
    if report.refused:
        raise SystemExit(1)

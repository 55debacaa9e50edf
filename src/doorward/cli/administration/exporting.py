"""`doorward users export` and `doorward export`: everything an instance keeps that is not a secret, as files only you can read."""

from __future__ import annotations

import contextlib
import csv
import errno
import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
import msgspec

from doorward.cli.administration.options import Target, administration
from doorward.cli.output import answer_json

if TYPE_CHECKING:
    from doorward.cli.administration.api import Api

PAGE = 500
#: What file systems without hard links answer to one: FAT, network shares, those of user space.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
METADATA = ("public_metadata", "private_metadata", "unsafe_metadata")
#: Clerk's columns, then what Clerk's export leaves out.
CSV_COLUMNS = (
    "id",
    "first_name",
    "last_name",
    "username",
    "primary_email_address",
    "primary_phone_number",
    "verified_email_addresses",
    "unverified_email_addresses",
    "verified_phone_numbers",
    "unverified_phone_numbers",
    "totp_secret",
    "password_digest",
    "password_hasher",
    "external_id",
    "locale",
    "timezone",
    "banned",
    "created_at",
    "legal_accepted_at",
    *METADATA,
)

#: The files of `doorward export`: name, path, and what the list is asked for.
LISTS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("organizations", "/organizations", {}),
    ("organization_memberships", "/organization_memberships", {}),
    ("organization_invitations", "/organization_invitations", {}),
    ("organization_roles", "/organization_roles", {}),
    ("organization_permissions", "/organization_permissions", {}),
    ("machines", "/machines", {}),
    ("jwt_templates", "/jwt_templates", {}),
    ("webhook_endpoints", "/webhook_endpoints", {}),
    ("oauth_applications", "/oauth_applications", {}),
    ("invitations", "/invitations", {}),
    ("waitlist_entries", "/waitlist_entries", {}),
    ("allowlist_identifiers", "/allowlist_identifiers", {}),
    ("blocklist_identifiers", "/blocklist_identifiers", {}),
    ("redirect_urls", "/redirect_urls", {}),
    ("domains", "/domains", {}),
)
SINGLE = (
    ("instance", "/instance"),
    ("instance_restrictions", "/instance/restrictions"),
    ("organization_settings", "/instance/organization_settings"),
)


class Exported(msgspec.Struct, rename="camel"):
    """What `--json` answers: how many of each were written, and what the instance has switched off."""

    file: str
    counts: dict[str, int]
    has_password_hashes: bool
    switched_off: list[str] = []


hashes_option = click.option(
    "--with-password-hashes",
    is_flag=True,
    help="The hashes of passwords too; on the server's own machine alone. Keep the file as safe as the database.",
)


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "csv"]),
    default="json",
    show_default=True,
    help="json: lines for `import --from generic`. csv: Clerk's columns and more, for `import --from clerk`.",
)
@hashes_option
@administration
def export_users(target: Target, file: Path, form: str, with_password_hashes: bool) -> None:
    """Write every user to FILE, which `users import` reads again."""
    _require_here(target, with_password_hashes)
    count = target.run(lambda api: _users_to(target, api, file, form, with_password_hashes))
    _tell(target, Exported(str(file), {"users": count}, with_password_hashes))


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@hashes_option
@administration
def export(target: Target, folder: Path, with_password_hashes: bool) -> None:
    """Write all an instance keeps to FOLDER, one file a kind.

    Users, organizations, machines, templates, webhooks, applications, lists and settings, as JSON lines. Secrets are in none of
    them; `doorward backup` is what brings a server back.
    """
    _require_here(target, with_password_hashes)

    async def work(api: Api) -> Exported:
        from doorward.cli.administration.api import ORGANIZATIONS_OFF, ApiRefused

        _folder(target, folder)
        counts = {"users": await _users_to(target, api, folder / "users.jsonl", "json", with_password_hashes)}
        switched_off = []
        for name, path, asked in LISTS:
            try:
                counts[name] = await _lines_to(target, folder / f"{name}.jsonl", api.every(path, asked))
            except ApiRefused as refused:
                if refused.code != ORGANIZATIONS_OFF:
                    raise
                switched_off.append(name)
        for name, path in SINGLE:
            await _lines_to(target, folder / f"{name}.json", _only(await api.ask("GET", path)))
        return Exported(str(folder), counts, with_password_hashes, switched_off)

    _tell(target, target.run(work))


def _require_here(target: Target, with_hashes: bool) -> None:
    if with_hashes and target.url is not None:
        target.fail(
            "Password hashes are given to the operator of the server's own machine alone: run this there, with --config or"
            " --home.",
            code="local_only",
        )


async def _users_to(target: Target, api: Api, file: Path, form: str, with_hashes: bool) -> int:
    """How many."""
    count = 0
    with _written(target, file) as stream:
        writer = csv.DictWriter(stream, CSV_COLUMNS) if form == "csv" else None
        if writer is not None:
            writer.writeheader()
        async for page, hashes in _pages(api, with_hashes):
            for user in page:
                hashed = hashes.get(user["id"])
                if writer is not None:
                    writer.writerow(_csv_row(user, hashed))
                else:
                    stream.write(msgspec.json.encode(_json_row(user, hashed)).decode() + "\n")
            count += len(page)
    return count


async def _pages(api: Api, with_hashes: bool) -> AsyncIterator[tuple[list[Any], dict[str, Any]]]:
    """Users in the order they were made, with their hashes by id. Who is made meanwhile comes last."""
    after = None
    while True:
        asked = {"limit": PAGE, "order_by": "created_at", "starting_after": after}
        page = await api.ask("GET", "/users", query=asked)
        hashes: dict[str, Any] = {}
        if page and with_hashes:
            body = {"user_ids": [user["id"] for user in page]}
            found = await api.ask("POST", "/users/password_hashes", body=body)
            hashes = {one["user_id"]: one for one in found}
        yield page, hashes
        if len(page) < PAGE:
            return
        after = page[-1]["id"]


def _identified(user: Any, members: str, member: str, primary: str) -> tuple[list[str], list[str]]:
    """Values with the primary one first, and the status of each."""
    owned = sorted(user[members], key=lambda one: one["id"] != user[primary])
    statuses = [
        "verified" if (one.get("verification") or {}).get("status") == "verified" else "reserved"
        for one in owned
    ]
    return [one[member] for one in owned], statuses


def _json_row(user: Any, hashed: Any | None) -> dict[str, Any]:
    """As `POST /users/import` takes it, without what is at its default."""
    addresses, proved = _identified(user, "email_addresses", "email_address", "primary_email_address_id")
    numbers, known = _identified(user, "phone_numbers", "phone_number", "primary_phone_number_id")
    row = {
        "id": user["id"],
        "email_address": addresses,
        "email_address_identification_status": proved,
        "phone_number": numbers,
        "phone_number_identification_status": known,
        **{
            name: user.get(name)
            for name in (
                "external_id",
                "username",
                "first_name",
                "last_name",
                "locale",
                "timezone",
                "created_at",
                "legal_accepted_at",
                "create_organizations_limit",
                "bypass_client_trust",
                "banned",
                *METADATA,
            )
        },
        "password_hasher": hashed and hashed["password_hasher"],
        "password_digest": hashed and hashed["password_digest"],
    }
    kept = {name: value for name, value in row.items() if value not in (None, False, [], {})}
    for name in ("delete_self_enabled", "create_organization_enabled"):
        if user[name] is False:
            kept[name] = False
    return kept


def _csv_row(user: Any, hashed: Any | None) -> dict[str, Any]:
    addresses, proved = _identified(user, "email_addresses", "email_address", "primary_email_address_id")
    numbers, known = _identified(user, "phone_numbers", "phone_number", "primary_phone_number_id")

    def having(values: Iterable[str], statuses: Iterable[str], wanted: str) -> str:
        return "|".join(value for value, status in zip(values, statuses, strict=True) if status == wanted)

    return {
        **{name: user.get(name) for name in CSV_COLUMNS if name in user},
        "primary_email_address": next(iter(addresses), ""),
        "primary_phone_number": next(iter(numbers), ""),
        "verified_email_addresses": having(addresses, proved, "verified"),
        "unverified_email_addresses": having(addresses, proved, "reserved"),
        "verified_phone_numbers": having(numbers, known, "verified"),
        "unverified_phone_numbers": having(numbers, known, "reserved"),
        "password_digest": hashed and hashed["password_digest"],
        "password_hasher": hashed and hashed["password_hasher"],
        **{name: msgspec.json.encode(user[name]).decode() for name in METADATA},
    }


async def _lines_to(target: Target, file: Path, records: AsyncIterator[Any]) -> int:
    """How many."""
    count = 0
    with _written(target, file) as stream:
        async for record in records:
            stream.write(msgspec.json.encode(record).decode() + "\n")
            count += 1
    return count


async def _only(record: Any) -> AsyncIterator[Any]:
    yield record


@contextlib.contextmanager
def _written(target: Target, file: Path) -> Iterator[TextIO]:
    """The file once all of it is there, and not before; nothing that is there already, nor beside it, is written over."""
    partial = None
    try:
        _require_new(file)
        descriptor, partial = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            yield stream
        _put(partial, file)
    except FileExistsError:
        target.fail(
            f"{file} exists already. Choose another name: an export overwrites nothing.", code="file_exists"
        )
    except OSError as error:
        target.fail(f"{file} cannot be written ({error.strerror}).", code="file_unwritable")
    finally:
        if partial is not None:
            Path(partial).unlink(missing_ok=True)


def _put(partial: str, file: Path) -> None:
    """Unlike a rename, never over what got this name meanwhile; where there are no hard links, as good as it can be told."""
    try:
        os.link(partial, file)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _require_new(file)
        os.replace(partial, file)


def _require_new(file: Path) -> None:
    if os.path.lexists(file):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))


def _folder(target: Target, folder: Path) -> None:
    try:
        if folder.is_file():
            target.fail(f"{folder} is a file. Name a new folder.", code="folder_not_empty")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            target.fail(f"{folder} is not empty. Name a new folder.", code="folder_not_empty")
    except OSError as error:
        target.fail(f"{folder} cannot be written ({error.strerror}).", code="file_unwritable")


def _tell(target: Target, exported: Exported) -> None:
    if target.as_json:
        answer_json(exported)
        return
    said = ", ".join(
        f"{name.replace('_', ' ')} {count:,}" for name, count in exported.counts.items() if count
    )
    print(f"Written to {exported.file}: {said or 'nothing, as there is nothing'}.")
    if exported.switched_off:
        print(
            "Organizations are switched off here, and what was kept of them is left out. With"
            " `doorward orgs settings --on` before the export it is there."
        )
    if exported.has_password_hashes:
        print("It holds the hashes of passwords. Keep it where only you can read it.")

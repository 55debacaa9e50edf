"""Firebase: what `firebase auth:export` writes, as JSON or CSV, with its own scrypt.

The parameters of a project's hashes are not in the file; the console shows them (Authentication, Users, the three dots).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from doorward.cli.administration.importers.files import FileUnreadable
from doorward.cli.administration.importers.rows import (
    BadRow,
    Row,
    Skipped,
    boolean,
    identified,
    instant,
    json_value,
    made,
    names_of,
    text_of,
)
from doorward.cli.text_files import TextUnreadable, read_text
from doorward.identity.backend_api.wire.user_imports import ImportUser

#: The columns of the CSV, which has no header; those between belong to social providers.
_COLUMNS = {
    0: "localId",
    1: "email",
    2: "emailVerified",
    3: "passwordHash",
    4: "salt",
    5: "displayName",
    23: "createdAt",
    24: "lastSignedInAt",
    25: "phoneNumber",
    26: "disabled",
    27: "customAttributes",
}
_MEMBER = re.compile(r"(\w+)\s*[:=]\s*\"?([^\s,\"}]+)")


class HashConfig(msgspec.Struct, frozen=True):
    """What the console shows as `hash_config`. Keys are base64."""

    base64_signer_key: str
    base64_salt_separator: str
    rounds: int
    mem_cost: int

    def __repr__(self) -> str:
        return "HashConfig(…)"

    def digest(self, password_hash: str, salt: str) -> str:
        """The form of `scrypt_firebase`."""
        parts = (password_hash, salt, self.base64_signer_key, self.base64_salt_separator)
        return "$".join([*map(_standard, parts), str(self.rounds), str(self.mem_cost)])


def load_hash_config(path: Path) -> HashConfig:
    """The text as the console shows it, or the same members as JSON. Raises FileUnreadable."""
    try:
        text = read_text(path)
    except TextUnreadable as error:
        raise FileUnreadable(str(error)) from error
    try:
        found = msgspec.json.decode(text)
        members = found.get("hash_config", found) if isinstance(found, dict) else {}
    except msgspec.DecodeError:
        members = dict(_MEMBER.findall(text))
    algorithm = str(members.get("algorithm", "SCRYPT")).upper()
    if algorithm != "SCRYPT":
        raise FileUnreadable(f"{path}: the algorithm is {algorithm}; Firebase's own is SCRYPT.")
    try:
        config = msgspec.convert(members, HashConfig, strict=False)
        for key in (config.base64_signer_key, config.base64_salt_separator):
            base64.b64decode(_standard(key), validate=True)
    except (msgspec.ValidationError, ValueError) as error:
        raise FileUnreadable(
            f"{path} is no hash_config ({error}). It has base64_signer_key, base64_salt_separator, rounds and mem_cost."
        ) from error
    return config


def reader(config: HashConfig | None) -> Callable[[Any], ImportUser]:
    """Without `config` users come without their passwords, and have to reset them."""

    def user(row: Row | Sequence[str]) -> ImportUser:
        """Raises BadRow, Skipped."""
        return _user(row if isinstance(row, Mapping) else _named(row), config)

    return user


def _user(row: Row, config: HashConfig | None) -> ImportUser:
    address = text_of(row.get("email"))
    if address is None:
        raise Skipped("it has no e-mail address")
    number = text_of(row.get("phoneNumber"))
    hashed, salt = text_of(row.get("passwordHash")), text_of(row.get("salt"))
    digest = config.digest(hashed, salt or "") if config is not None and hashed else None
    proved = boolean("emailVerified", row.get("emailVerified"))
    claims = json_value("customAttributes", row.get("customAttributes"))
    return made(
        {
            **identified("email_address", address, [address] if proved else []),
            # A number is there because a code sent to it was typed.
            **identified("phone_number", number, [number] if number else []),
            **names_of(row.get("displayName")),
            "external_id": row.get("localId"),
            "password_digest": digest,
            "password_hasher": "scrypt_firebase" if digest else None,
            "banned": boolean("disabled", row.get("disabled")),
            "created_at": instant("createdAt", row.get("createdAt")),
            "public_metadata": claims,
        }
    )


def _named(cells: Sequence[str]) -> dict[str, str]:
    if len(cells) <= max(_COLUMNS) - 1:
        raise BadRow(f"It has {len(cells)} columns; a CSV of auth:export has 28.")
    return {name: cells[place] for place, name in _COLUMNS.items() if place < len(cells)}


def _standard(text: str) -> str:
    """Base64 with the signs of RFC 4648 §4, whichever it came with."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    return plain + "=" * (-len(plain) % 4)

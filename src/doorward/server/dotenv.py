"""Files of `NAME=value` lines, as T3's and Clerk's tools read them; and changing one line of such a file safely."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*?)\s*")
_QUOTED = re.compile(r"""(?P<quote>["'`])(?P<text>.*?)(?P=quote)\s*(?:#.*)?""")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=~-]*")


class EnvFileUnusable(Exception):
    """The file cannot be read or written; the message names it and says why."""

    code = "env_file_unusable"


def read_variables(path: Path) -> dict[str, str]:
    """The file's variables; of several lines with one name the last counts. Raises EnvFileUnusable."""
    found = {}
    for line in _read(path).removeprefix("\ufeff").splitlines():  # with the mark that some editors begin with
        match = _LINE.fullmatch(line)
        if match is not None:
            found[match["name"]] = _value(match["value"])
    return found


def set_variable(path: Path, name: str, value: str) -> None:
    """Make `name` mean `value` in the file, which may not exist yet, and leave every other byte as it is.

    Readers see the old file or the new one, never a part. Raises EnvFileUnusable; ValueError for a value that would
    need quoting, which tools disagree about.
    """
    if not _PLAIN.fullmatch(value):
        raise ValueError(f"{value!r} does not go into an .env file as it is")
    # A link to a file elsewhere stays a link.
    target = path.resolve()
    text = _read(target) if target.exists() else ""
    lines = text.splitlines(keepends=True)
    meant = [
        index
        for index, line in enumerate(lines)
        if (match := _LINE.fullmatch(line.rstrip("\r\n"))) and match["name"] == name
    ]
    newline = "\r\n" if "\r\n" in text else "\n"
    if meant:
        old = lines[meant[-1]]
        lines[meant[-1]] = f"{name}={value}" + old[len(old.rstrip("\r\n")) :]
    else:
        if lines and not lines[-1].endswith(("\n", "\r")):
            lines[-1] += newline
        lines.append(f"{name}={value}{newline}")
    _replace(target, "".join(lines))


def _value(text: str) -> str:
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        return quoted["text"]
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise EnvFileUnusable(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise EnvFileUnusable(f"{path} is not UTF-8 text.") from error


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with open(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)
                file.write(text.encode())
                file.flush()
                os.fsync(descriptor)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise EnvFileUnusable(f"Cannot write {path}: {error.strerror}.") from error

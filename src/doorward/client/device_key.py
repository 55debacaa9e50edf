"""The device's key: what a machine's owner approves.

One P-256 key per machine and home folder, so that two machines cannot tell they are visited by the
same device. A lost key is a new device; the key never leaves this file.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from doorward.client.errors import ClientError
from doorward.jose import JoseError, PrivateKey, generate_key

_ENVIRONMENT_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def device_file(home: Path, environment_id: str, suffix: str) -> Path:
    """What is kept for this machine. Raises ClientError for an id that could leave the folder."""
    if not _ENVIRONMENT_ID.fullmatch(environment_id) or environment_id.startswith("."):
        raise ClientError(f"The machine's id {environment_id!r} is not one this program can store a key for.")
    return home / "devices" / f"{environment_id}{suffix}"


def load_device_key(home: Path, environment_id: str) -> PrivateKey:
    """The key for this machine, made on first use. Raises ClientError when the file cannot be read or written."""
    path = device_file(home, environment_id, ".pem")
    try:
        return _read(path) or _create(path)
    except (OSError, JoseError, ValueError) as error:
        raise ClientError(
            f"The device key {path} cannot be used ({error}). Delete it to start as a new device."
        ) from error


def _read(path: Path) -> PrivateKey | None:
    try:
        return PrivateKey.from_pem(path.read_text("ascii"), alg="ES256")
    except FileNotFoundError:
        return None


def _create(path: Path) -> PrivateKey:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = generate_key("ES256")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.to_pem())
            file.flush()
            os.fsync(file.fileno())
        # link() fails where another process was first: its key is the device's key
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink(missing_ok=True)
    stored = _read(path)
    if stored is None:
        raise OSError("the key was written but cannot be read back")
    return stored

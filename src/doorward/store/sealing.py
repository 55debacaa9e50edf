"""Secrets at rest: AES-256-GCM envelopes under a key-encryption key that is not in the database.

An envelope is `version (1) | key id (8) | nonce (12) | ciphertext and tag`. The key id says which key sealed it, so
keys rotate by sealing with the new one while the old one still opens. The context (table, row, column) is
authenticated with it: an envelope moved to another row does not open.
"""

import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from doorward.store.errors import KeyFileRefused, SealBroken

KEY_BYTES = 32
_VERSION = b"\x01"
_KEY_ID_BYTES = 8
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES
_TAG_BYTES = 16


class Sealer:
    """Seals with one key-encryption key (32 bytes), opens with it and with `retired` ones.

    One that was made from a file looks there again for a key it does not know: a rotation by a command reaches
    the servers that run.
    """

    def __init__(self, kek: bytes, *, retired: Sequence[bytes] = (), path: Path | None = None) -> None:
        for key in (kek, *retired):
            if len(key) != KEY_BYTES:
                raise ValueError(f"a key-encryption key has {KEY_BYTES} bytes, not {len(key)}")
        self._path = path
        self._key_id = _key_id(kek)
        self._keys = {_key_id(key): AESGCM(key) for key in (*retired, kek)}

    def __repr__(self) -> str:
        return f"Sealer(key {self._key_id.hex()}, {len(self._keys) - 1} retired)"

    @classmethod
    def from_file(cls, path: Path) -> "Sealer":
        """The sealer of a key file: one line of 64 hex digits per key, the current one first; created when absent.

        Raises KeyFileRefused when others may read the file, or it holds something else.
        """
        keys = _read_keys(path)
        if keys is None:
            _create_key_file(path)
            keys = _read_keys(path)
        if not keys:
            raise KeyFileRefused(
                f"The key file {path} is empty. Restore it from a backup: without it nothing opens."
            )
        return cls(keys[0], retired=keys[1:], path=path)

    def seal(self, plaintext: bytes, *, context: str) -> bytes:
        """An envelope only this key and this context open; different each time."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        header = _VERSION + self._key_id
        return header + nonce + self._keys[self._key_id].encrypt(nonce, plaintext, header + context.encode())

    def open(self, envelope: bytes, *, context: str) -> bytes:
        """What was sealed in this context. Raises SealBroken."""
        envelope = bytes(envelope)
        if len(envelope) < _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES or envelope[:1] != _VERSION:
            raise SealBroken("This is not a sealed value.")
        header, nonce = envelope[:_HEADER_BYTES], envelope[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
        key = self._keys.get(header[1:]) or self._newer_key(header[1:])
        if key is None:
            raise SealBroken(
                f"A value was sealed with key {header[1:].hex()}, which is not in the key file. "
                "Restore the key file that belongs to this database."
            )
        try:
            return key.decrypt(nonce, envelope[_HEADER_BYTES + _NONCE_BYTES :], header + context.encode())
        except InvalidTag:
            raise SealBroken("A sealed value was changed, or belongs to another row.") from None

    def _newer_key(self, key_id: bytes) -> AESGCM | None:
        for key in (_read_keys(self._path) or ()) if self._path is not None else ():
            self._keys.setdefault(_key_id(key), AESGCM(key))
        return self._keys.get(key_id)

    def key_id_of(self, envelope: bytes) -> str:
        """The id of the key that sealed it."""
        return bytes(envelope[1:_HEADER_BYTES]).hex()

    def is_current(self, envelope: bytes) -> bool:
        """Whether the current key sealed it; false asks a rotation to seal it again."""
        return hmac.compare_digest(bytes(envelope[1:_HEADER_BYTES]), self._key_id)


def add_key(path: Path) -> None:
    """Put a new key in front, which seals from now on; the others still open. Raises KeyFileRefused."""
    keys = _read_keys(path)
    if not keys:
        raise KeyFileRefused(f"There is no key in {path} to rotate.")
    _replace_key_file(path, [secrets.token_bytes(KEY_BYTES), *keys])


def drop_retired_keys(path: Path) -> None:
    """Keep the first key alone. What another one sealed is lost from now on. Raises KeyFileRefused."""
    keys = _read_keys(path)
    if not keys:
        raise KeyFileRefused(f"There is no key in {path}.")
    _replace_key_file(path, keys[:1])


def key_ids(path: Path) -> list[str]:
    """The ids of a key file's keys, the current one first; they say nothing about the keys. Raises KeyFileRefused."""
    return [_key_id(key).hex() for key in _read_keys(path) or ()]


def _key_id(kek: bytes) -> bytes:
    return hashlib.sha256(b"doorward key id\0" + kek).digest()[:_KEY_ID_BYTES]


def _read_keys(path: Path) -> list[bytes] | None:
    """The file's keys, or None when there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileRefused(f"Cannot read the key file {path} ({error.strerror}).") from error
    with open(descriptor, encoding="ascii", errors="replace") as file:
        # Asked of the open file, so that it cannot be swapped between the check and the reading.
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise KeyFileRefused(
                f"The key file {path} can be read by other users (mode {mode:04o}). "
                f"Run `chmod 600 {path}`, and replace the key if somebody may have read it."
            )
        lines = file.read().split()
    try:
        keys = [bytes.fromhex(line) for line in lines]
    except ValueError:
        keys = [b""]
    if any(len(key) != KEY_BYTES for key in keys):
        raise KeyFileRefused(
            f"The key file {path} holds something else than keys of {2 * KEY_BYTES} hex digits."
        )
    return keys


def _write_draft(path: Path, keys: Sequence[bytes]) -> Path:
    """The keys in a file beside `path`, on the disk. Raises OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(b"".join(key.hex().encode() + b"\n" for key in keys))
        file.flush()
        os.fsync(descriptor)
    return draft


def _replace_key_file(path: Path, keys: Sequence[bytes]) -> None:
    """Readers see the old file or the new one, and so does whoever comes after a crash."""
    try:
        _write_draft(path, keys).replace(path)
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise KeyFileRefused(f"Cannot write the key file {path} ({error.strerror}).") from error


def _create_key_file(path: Path) -> None:
    """Write a new key so that a crash leaves either no file or a whole one; whoever is first wins."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = _write_draft(path, [secrets.token_bytes(KEY_BYTES)])
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    except OSError as error:
        raise KeyFileRefused(f"Cannot create the key file {path} ({error.strerror}).") from error

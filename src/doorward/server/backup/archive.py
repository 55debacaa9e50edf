"""The backup file: written so that a crash leaves none, read so that a damaged or foreign one changes nothing."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

FORMAT = 1
_MANIFEST = "manifest.json"
_CHUNK = 1024 * 1024


class BackupFailed(Exception):
    """Nothing was changed; the message says why and what to do."""

    code = "backup_failed"


class BackupUnreadable(BackupFailed):
    """A file that was named to be restored from cannot be read."""

    code = "file_unreadable"


class Member(msgspec.Struct, frozen=True):
    """`mode` is the file's permission bits."""

    name: str
    size: int
    sha256: str
    mode: int = 0o600


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`schemas` are the versions of the tables; `key_ids` those of the key-encryption keys that values are sealed with.

    `created_at` in milliseconds since the epoch.
    """

    format: int
    doorward: str
    created_at: int
    dialect: str | None
    schemas: dict[str, str]
    key_ids: list[str]
    has_keys: bool
    members: list[Member]


class ArchiveWriter:
    """Adds members one after the other; `finish` makes the archive count."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members: list[Member] = []

    def add(self, name: str, path: Path) -> None:
        """A file's content as it is now, whatever happens to the file meanwhile. Raises OSError."""
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            size = os.fstat(file.fileno()).st_size
            hashing = _Hashing(file)
            self._tar.addfile(_header(name, size, mode), hashing)
        self._members.append(Member(name, size, hashing.digest(), mode))

    def finish(
        self,
        *,
        doorward: str,
        created_at: int,
        dialect: str | None,
        schemas: dict[str, str],
        key_ids: list[str],
        has_keys: bool,
    ) -> Manifest:
        manifest = Manifest(
            format=FORMAT,
            doorward=doorward,
            created_at=created_at,
            dialect=dialect,
            schemas=schemas,
            key_ids=key_ids,
            has_keys=has_keys,
            members=self._members,
        )
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
        self._tar.addfile(_header(_MANIFEST, len(content), 0o600), io.BytesIO(content))
        return manifest


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()


def _header(name: str, size: int, mode: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, mode
    return header


@contextmanager
def writing(path: Path) -> Iterator[ArchiveWriter]:
    """A new archive at `path`, readable by this user alone; it is there only once the block ended well.

    Raises BackupFailed where a file is already, OSError.
    """
    if path.exists():
        raise BackupFailed(f"{path} exists already. Choose another name: a backup is never overwritten.")
    draft = path.with_name(f".{path.name}.partial")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=3) as tar:
                yield ArchiveWriter(tar)
            file.flush()
            os.fsync(descriptor)
        os.link(draft, path)  # fails where somebody else's file appeared meanwhile
    finally:
        draft.unlink(missing_ok=True)


def unpack(path: Path, folder: Path) -> Manifest:
    """Every member into `folder` (empty, ours) and its checksum checked. Raises BackupFailed, OSError.

    A member's place is made from its name, so only names that stay below the folder are taken.
    """
    found: dict[str, Member] = {}
    manifest: Manifest | None = None
    try:
        with gzip.open(path) as whole, tarfile.open(fileobj=whole, mode="r:") as tar:
            for header in tar:
                file = tar.extractfile(header) if header.isreg() else None
                if file is None or not _is_plain(header.name) or header.name in found or manifest is not None:
                    raise BackupFailed(f"{path} is not a backup of Doorward: it holds {header.name!r}.")
                if header.name == _MANIFEST:
                    manifest = msgspec.json.decode(file.read(), type=Manifest)
                else:
                    found[header.name] = _write(folder / header.name, header, file)
            # To the very end, where gzip's own checksum is: the manifest has no other.
            while whole.read(_CHUNK):
                pass
    except (
        tarfile.TarError,
        zlib.error,
        EOFError,
        msgspec.MsgspecError,
        UnicodeDecodeError,
        OSError,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise BackupFailed(f"Cannot read {path}: {error.strerror}.") from error
        raise BackupFailed(f"{path} is damaged, or no backup of Doorward.") from error
    if manifest is None:
        raise BackupFailed(f"{path} has no manifest: it was cut off, or is no backup of Doorward.")
    if manifest.format != FORMAT:
        raise BackupFailed(
            f"{path} was written by Doorward {manifest.doorward} in a format this one does not read. Use that version."
        )
    if {member.name: member for member in manifest.members} != found:
        raise BackupFailed(f"{path} is damaged: its members are not those it was written with.")
    return manifest


def _write(path: Path, header: tarfile.TarInfo, file: IO[bytes]) -> Member:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    mode = header.mode & 0o777
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as target:
        os.fchmod(target.fileno(), mode)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    return Member(header.name, size, digest.hexdigest(), mode)


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    return bool(name) and not any(part in ("", ".", "..") or "\x00" in part for part in parts)

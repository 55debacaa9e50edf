"""Secret files: `<name>.bin`, mode 0600, in a folder of mode 0700.

`create` is exclusive and `set` is atomic, so that two processes (the agent and a CLI beside it) never see
half a secret and never both believe they made it. Synchronous: the files are tens of bytes.

Every mint asks for four of them. What was read is remembered for as long as the file is to the letter the one that was read:
every question looks at its inode, and any write, by whomever, leaves another change time there or another inode.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

_LOCK_SECONDS = 15.0
_DRAFT_SECONDS = 60.0
_PIECE_BYTES = 16 * 1024
# A file system tells two writes of one tick of its clock (4 ms, on a few 2 s) not apart: nothing so young is remembered.
_REST_NS = 3_000_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class _Mark(NamedTuple):
    """What tells a file from every other, and from itself before a change."""

    device: int
    inode: int
    changed_at_ns: int
    size: int


class SecretStoreFailed(Exception):
    """A secret could not be read, written or removed. Says which file and why, never its content."""

    code = "secret_store_failed"


class SecretExists(SecretStoreFailed):
    """`create` found the name taken; the existing content is untouched."""

    code = "secret_exists"


class _Remembered(msgspec.Struct, frozen=True):
    mark: _Mark
    content: bytes

    def __repr__(self) -> str:
        return f"_Remembered({self.mark!r})"


class SecretStore:
    """`SecretStore(path)`: makes the folder on first use. Every method raises SecretStoreFailed.

    `now_ns` is the clock of the file system that holds the folder, in nanoseconds since the epoch.
    """

    def __init__(self, folder: Path, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._folder = folder
        self._folder_text = str(folder)
        self._now_ns = now_ns
        self._remembered: dict[str, _Remembered] = {}

    def __repr__(self) -> str:
        return f"SecretStore({str(self._folder)!r})"

    def get(self, name: str) -> bytes | None:
        """The content, or None when there is no such secret."""
        path = self._file(name)
        try:
            mark = _mark(os.stat(path))
            remembered = self._remembered.get(name)
            if remembered is not None and remembered.mark == mark:
                return remembered.content
            content, mark = _read(path)
        except FileNotFoundError:
            self._remembered.pop(name, None)
            return None
        except OSError as error:
            raise self._failed("read", name, error) from error
        if self._now_ns() - mark.changed_at_ns > _REST_NS:
            self._remembered[name] = _Remembered(mark, content)
        return content

    def get_text(self, name: str) -> str | None:
        """The content as UTF-8 with surrounding whitespace removed; None when absent or blank."""
        content = self.get(name)
        if content is None:
            return None
        try:
            return content.decode().strip() or None
        except UnicodeDecodeError as error:
            raise self._failed("read", name, error) from error

    def set(self, name: str, content: bytes) -> None:
        """Replace the content in one step: a reader sees the old bytes or the new, never a mixture."""
        path = self._path(name)
        draft = path.with_name(f"{path.name}.{uuid.uuid4()}.tmp")
        try:
            self._make_folder()
            self._write_new(draft, content)
            draft.replace(path)
            path.chmod(0o600)
            self._sync_folder()
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise self._failed("write", name, error) from error

    def create(self, name: str, content: bytes) -> None:
        """Write a secret that must not exist yet. Raises SecretExists when it does.

        The bytes are complete before the name appears (a link to a finished draft), so that a process
        that loses the race, or a crash, never finds an empty secret.
        """
        path = self._path(name)
        draft = path.with_name(f"{path.name}.{uuid.uuid4()}.tmp")
        try:
            self._make_folder()
            self._write_new(draft, content)
            os.link(draft, path)
            self._sync_folder()
        except FileExistsError as error:
            raise SecretExists(f"The secret {name} exists already.") from error
        except OSError as error:
            raise self._failed("create", name, error) from error
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove a secret; one that is absent already is success."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed("remove", name, error) from error

    def sweep(self) -> None:
        """Remove the drafts a power cut left; one of the last minute may be another process's, under way."""
        for draft in self._folder.glob("*.tmp"):
            with suppress(OSError):
                if time.time() - draft.stat().st_mtime > _DRAFT_SECONDS:
                    draft.unlink()

    def get_or_create_random(self, name: str, size: int) -> bytes:
        """`size` random bytes made once; whoever loses the race to make them uses the winner's."""
        return self.get_or_create(name, secrets.token_bytes(size))

    def get_or_create(self, name: str, content: bytes) -> bytes:
        """The stored content, or `content` after storing it."""
        existing = self.get(name)
        if existing is not None:
            return existing
        try:
            self.create(name, content)
        except SecretExists:
            existing = self.get(name)
            if existing is None:
                raise SecretStoreFailed(f"The secret {name} vanished while it was read.") from None
            return existing
        return content

    @contextlib.asynccontextmanager
    async def exclusively(self, name: str) -> AsyncIterator[None]:
        """Hold the secret against every other process that asks to, for the block; a dead holder lets go.

        Raises SecretStoreFailed when it is not to be had within 15 s.
        """
        path = self._path(name).with_suffix(".lock")
        try:
            self._make_folder()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._failed("lock", name, error) from error
        try:
            await self._wait_for_lock(name, descriptor)
            yield
        finally:
            os.close(descriptor)

    async def _wait_for_lock(self, name: str, descriptor: int) -> None:
        try:
            async with asyncio.timeout(_LOCK_SECONDS):
                while not _try_lock(descriptor):  # noqa: ASYNC110 - another process tells nobody
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise self._failed("lock", name, error) from error

    def _path(self, name: str) -> Path:
        return Path(self._file(name))

    def _file(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            # A name never comes from the network; were it ever to, it must not leave the folder.
            raise SecretStoreFailed("A secret's name has letters, digits, dots, dashes and underscores only.")
        # Text, not a Path: a mint reads ten secrets, and making the path took as long as reading the file.
        return f"{self._folder_text}/{name}.bin"

    def _make_folder(self) -> None:
        if not self._folder.is_dir():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._folder.stat().st_mode & 0o077:
            self._folder.chmod(0o700)

    def _write_new(self, path: Path, content: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(
                content
            )  # all of it, or OSError: a disk that fills up takes a part of what it is given
            file.flush()
            os.fsync(descriptor)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _failed(self, verb: str, name: str, error: Exception) -> SecretStoreFailed:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return SecretStoreFailed(f"Could not {verb} the secret {name} in {self._folder}: {reason}.")


def _mark(status: os.stat_result) -> _Mark:
    return _Mark(status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size)


def _read(path: str) -> tuple[bytes, _Mark]:
    """The whole content, and the mark its file had before the first byte was read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        mark = _mark(os.fstat(descriptor))
        pieces = []
        while piece := os.read(descriptor, _PIECE_BYTES):
            pieces.append(piece)
    finally:
        os.close(descriptor)
    return b"".join(pieces), mark


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""Install the pinned cloudflared: download, check, try, activate. All of it, or nothing is left behind."""

import asyncio
import hashlib
import os
import secrets
import shutil
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from doorward.environment.relay_client.releases import Asset
from doorward.outbound import Outbound, OutboundError

Stage = Literal[
    "checking", "waiting_for_lock", "downloading", "verifying", "installing", "validating", "activating"
]
Reason = Literal[
    "override_missing",
    "unsupported_platform",
    "install_locked",
    "download_failed",
    "invalid_checksum",
    "validation_failed",
    "write_failed",
]

NOT_WRITTEN = "Could not write the relay client download."
OVERRIDE_MISSING = "T3CODE_CLOUDFLARED_PATH does not point to an executable file."

DOWNLOAD_SECONDS = 30 * 60.0
MAX_BYTES = 200_000_000
LOCK_TRIES = 100
LOCK_PAUSE_SECONDS = 0.1
#: A lock that nobody has touched for so long belongs to a process that died.
STALE_LOCK_SECONDS = 300.0
TOUCH_SECONDS = 30.0
TRIAL_SECONDS = 20.0


class Progress(msgspec.Struct, frozen=True):
    """Where an installation is; `received` and `total` (None: not said) count bytes while it downloads."""

    stage: Stage
    received: int = 0
    total: int | None = None


class InstallFailed(Exception):
    """`reason` is the protocol's word; the message is for a person."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.code: str = reason


class Installation:
    """One attempt at one target."""

    def __init__(
        self,
        outbound: Outbound,
        *,
        url: str,
        asset: Asset,
        target: Path,
        report: Callable[[Progress], None],
        lock_tries: int = LOCK_TRIES,
    ) -> None:
        self._outbound = outbound
        self._url = url
        self._asset = asset
        self._target = target
        self._report = report
        self._lock_path = target.with_name(f"{target.name}.lock")
        self._lock_tries = lock_tries

    async def run(self, *, is_done: Callable[[], bool]) -> None:
        """Install, unless `is_done` once the lock is ours: another process did it meanwhile. Raises InstallFailed."""
        try:
            self._target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise InstallFailed(
                "write_failed", "Could not create the relay client tool directory."
            ) from error
        self._report(Progress("waiting_for_lock"))
        async with self._locked():
            if is_done():
                return
            folder = Path(tempfile.mkdtemp(prefix=".install-", dir=self._target.parent))
            try:
                await self._install(folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    async def _install(self, folder: Path) -> None:
        download = folder / self._asset.name
        digest = await self._download(download)
        self._report(Progress("verifying"))
        if not secrets.compare_digest(digest, self._asset.sha256):
            raise InstallFailed(
                "invalid_checksum", "Downloaded relay client checksum did not match the pinned release."
            )
        self._report(Progress("installing"))
        executable = folder / self._target.name
        if self._asset.is_archive:
            await asyncio.to_thread(_extract, download, executable)
        else:
            executable = download
        try:
            executable.chmod(0o755)
        except OSError as error:
            raise InstallFailed("write_failed", "Could not make the relay client executable.") from error
        self._report(Progress("validating"))
        await _try_out(executable)
        self._report(Progress("activating"))
        try:
            executable.replace(self._target)
        except OSError as error:
            raise InstallFailed("write_failed", "Could not activate the relay client.") from error

    async def _download(self, path: Path) -> str:
        """The hex SHA-256 of what was written."""
        self._report(Progress("downloading"))
        digest, received, touched = hashlib.sha256(), 0, time.monotonic()
        try:
            with path.open("xb") as file:

                def take(chunk: bytes, total: int | None) -> None:
                    nonlocal received, touched
                    try:
                        file.write(chunk)
                    except OSError as error:
                        raise InstallFailed("write_failed", NOT_WRITTEN) from error
                    digest.update(chunk)
                    received += len(chunk)
                    self._report(Progress("downloading", received, total))
                    if time.monotonic() - touched > TOUCH_SECONDS:
                        # A slow download must not look like a dead process.
                        touched = time.monotonic()
                        os.utime(self._lock_path)

                status = await self._outbound.download(
                    self._url, take, timeout=DOWNLOAD_SECONDS, max_bytes=MAX_BYTES
                )
        except OutboundError as error:
            raise InstallFailed("download_failed", f"Could not download the relay client. {error}") from error
        except OSError as error:
            raise InstallFailed("write_failed", NOT_WRITTEN) from error
        if status != 200:
            raise InstallFailed(
                "download_failed", f"Could not download the relay client. The server answered {status}."
            )
        return digest.hexdigest()

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        mark = secrets.token_hex(16)
        for _ in range(self._lock_tries):
            if self._take(mark):
                break
            await asyncio.sleep(LOCK_PAUSE_SECONDS)
        else:
            raise InstallFailed("install_locked", "Another relay client installation is still in progress.")
        try:
            yield
        finally:
            with suppress(OSError):
                if self._lock_path.read_text() == mark:  # else it was taken over, and is not ours to remove
                    self._lock_path.unlink()

    def _take(self, mark: str) -> bool:
        try:
            descriptor = os.open(self._lock_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            with suppress(OSError):
                if time.time() - self._lock_path.stat().st_mtime > STALE_LOCK_SECONDS:
                    # Away by renaming: of several who see the dead lock, one moves it, and none moves a new one's.
                    grave = self._lock_path.with_name(f"{self._lock_path.name}.{mark}")
                    self._lock_path.rename(grave)
                    grave.unlink()
            return False
        except OSError as error:
            raise InstallFailed(
                "write_failed", "Could not acquire the relay client installation lock."
            ) from error
        with os.fdopen(descriptor, "w") as file:
            file.write(mark)
        return True


def _extract(archive: Path, executable: Path) -> None:
    """The archive's one file named like the executable; nothing else of it touches the disk."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            member = tar.extractfile("cloudflared")
            if member is None:
                raise InstallFailed("write_failed", "Could not extract the relay client.")
            with executable.open("xb") as file:
                shutil.copyfileobj(member, file)
    except (OSError, tarfile.TarError, KeyError) as error:
        raise InstallFailed("write_failed", "Could not extract the relay client.") from error


async def _try_out(executable: Path) -> None:
    """Run it once: a download for another machine, or a broken one, is found before it takes the old one's place."""
    failed = InstallFailed("validation_failed", "The downloaded relay client binary did not run.")
    try:
        process = await asyncio.create_subprocess_exec(
            executable,
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise failed from error
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            status = await process.wait()
    except TimeoutError:
        raise failed from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status != 0:
        raise failed

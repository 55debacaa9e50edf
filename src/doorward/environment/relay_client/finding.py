"""Which cloudflared is used: the one `T3CODE_CLOUDFLARED_PATH` names, else our managed copy, else the one on PATH."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from doorward.environment.relay_client.installing import (
    OVERRIDE_MISSING,
    Installation,
    InstallFailed,
    Progress,
)
from doorward.environment.relay_client.leftover import RunningNote
from doorward.environment.relay_client.process import STOP_SECONDS, CannotRun, RelayClientProcess
from doorward.environment.relay_client.releases import PINNED, Platform, Release, this_platform
from doorward.outbound import Outbound

OVERRIDE = "T3CODE_CLOUDFLARED_PATH"


class Available(
    msgspec.Struct, frozen=True, kw_only=True, tag="available", tag_field="status", rename="camel"
):
    """`version` is the pinned one: what lies elsewhere is not asked."""

    executable_path: str
    source: Literal["override", "managed", "path"]
    version: str


class Missing(msgspec.Struct, frozen=True, kw_only=True, tag="missing", tag_field="status"):
    version: str


class Unsupported(msgspec.Struct, frozen=True, kw_only=True, tag="unsupported", tag_field="status"):
    platform: str
    arch: str
    version: str


RelayClientStatus = Available | Missing | Unsupported


class RelayClient:
    """`tools` is the folder of managed copies. `environ` is read anew at each question: PATH may change."""

    def __init__(
        self,
        tools: Path,
        outbound: Outbound,
        *,
        environ: Mapping[str, str] | None = None,
        release: Release = PINNED,
        platform: Platform | None = None,
    ) -> None:
        self._outbound = outbound
        self._environ = os.environ if environ is None else environ
        self._release = release
        self._platform = platform or this_platform()
        self._running = RunningNote(tools / "cloudflared" / "running.json")
        self._managed = tools / "cloudflared" / release.version / str(self._platform) / "cloudflared"

    def status(self) -> RelayClientStatus:
        version = self._release.version
        override = self._environ.get(OVERRIDE, "").strip()
        if override:
            if _is_executable(Path(override)):
                return Available(executable_path=override, source="override", version=version)
            return Missing(version=version)
        if _is_executable(self._managed):
            return Available(executable_path=str(self._managed), source="managed", version=version)
        found = shutil.which("cloudflared", path=self._environ.get("PATH", ""))
        if found is not None:
            return Available(executable_path=found, source="path", version=version)
        if str(self._platform) not in self._release.assets:
            return Unsupported(
                platform=self._platform.system, arch=self._platform.architecture, version=version
            )
        return Missing(version=version)

    async def install(self, report: Callable[[Progress], None] = lambda progress: None) -> Available:
        """Put the pinned release in place, unless one is available. Raises InstallFailed."""
        report(Progress("checking"))
        status = self.status()
        if isinstance(status, Available):
            return status
        if self._environ.get(OVERRIDE, "").strip():
            raise InstallFailed("override_missing", OVERRIDE_MISSING)
        asset = self._release.assets.get(str(self._platform))
        if asset is None:
            raise InstallFailed(
                "unsupported_platform",
                f"Doorward knows no relay client for {self._platform}. Install cloudflared yourself and name it with"
                f" {OVERRIDE}.",
            )
        installation = Installation(
            self._outbound, url=self._release.url(asset), asset=asset, target=self._managed, report=report
        )
        await installation.run(is_done=lambda: _is_executable(self._managed))
        return Available(executable_path=str(self._managed), source="managed", version=self._release.version)

    async def end_leftover(self) -> None:
        """End what a killed agent of this home left running. For the agent alone, before it starts one of its own."""
        await self._running.end_leftover(patience=STOP_SECONDS)

    async def start(self, token: str) -> RelayClientProcess:
        """A running cloudflared for this connector token. Raises CannotRun."""
        status = self.status()
        if isinstance(status, Missing):
            raise CannotRun("The relay client is not installed.")
        if isinstance(status, Unsupported):
            raise CannotRun(f"Relay client is unsupported on {status.platform}-{status.arch}.")
        process = RelayClientProcess(status.executable_path, token, environ=self._environ, note=self._running)
        await process.start()
        return process


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)

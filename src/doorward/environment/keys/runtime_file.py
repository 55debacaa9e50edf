"""`server-runtime.json`: where the running server listens, for a CLI beside it.

Written once the listener is up, deleted at a clean stop. A file that is missing, empty or unreadable
means that no server runs.
"""

import os
import uuid
from pathlib import Path

import msgspec

from doorward.t3_connect import iso

_WILDCARDS = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104 - recognised, never bound here


class ServerRuntime(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    version: int
    pid: int
    host: str | None = None
    port: int
    origin: str
    started_at: str


def write_runtime_file(state_dir: Path, *, host: str | None, port: int, now: int) -> ServerRuntime:
    """`now` in ms. The origin is one a local client can dial: a wildcard becomes 127.0.0.1."""
    dialled = "127.0.0.1" if host is None or host in _WILDCARDS else host
    shown = f"[{dialled}]" if ":" in dialled else dialled
    runtime = ServerRuntime(
        version=1, pid=os.getpid(), host=host, port=port, origin=f"http://{shown}:{port}", started_at=iso(now)
    )
    path = _path(state_dir)
    draft = path.with_name(f".{path.name}.{uuid.uuid4()}.tmp")
    draft.write_bytes(msgspec.json.encode(runtime) + b"\n")
    draft.replace(path)
    return runtime


def read_runtime_file(state_dir: Path) -> ServerRuntime | None:
    try:
        runtime = msgspec.json.decode(_path(state_dir).read_bytes(), type=ServerRuntime)
    except (OSError, msgspec.MsgspecError):
        return None
    return runtime if runtime.version == 1 else None


def remove_runtime_file(state_dir: Path) -> None:
    _path(state_dir).unlink(missing_ok=True)


def _path(state_dir: Path) -> Path:
    return state_dir / "server-runtime.json"

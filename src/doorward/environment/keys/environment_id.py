"""`environment-id`: a UUIDv4, made at the first start and kept for ever."""

import os
import uuid
from contextlib import suppress
from pathlib import Path


def load_environment_id(state_dir: Path) -> str:
    """Read it, or make it. Two processes that start at once agree: the exclusive link decides.

    Raises OSError when the folder cannot be written.
    """
    path = state_dir / "environment-id"
    existing = _read(path)
    if existing is not None:
        return existing
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".environment-id.{uuid.uuid4()}.tmp")
    try:
        with draft.open("x") as file:
            file.write(f"{uuid.uuid4()}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    made = _read(path)
    if made is None:
        # An empty file is there, so the link was refused: it names no machine and may be replaced.
        path.unlink(missing_ok=True)
        return load_environment_id(state_dir)
    return made


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None

"""Sessions at machines, kept between commands beside the keys they are bound to: a relay that is down keeps nobody out.

One file a machine, mode 0600. What cannot be read counts as nothing kept.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

import msgspec

from doorward.client.device_key import device_file
from doorward.client.environment import EnvironmentToken

#: A token about to end is as good as none.
FRESH_MS = 60_000


_SUFFIX = ".token.json"


def forget_sessions(home: Path) -> None:
    """Drop every kept token: they belong to the account that was signed in, the keys to this device."""
    for path in (home / "devices").glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


class EnvironmentTokens:
    """The token of one key at one machine. Without a home folder it is kept in memory."""

    def __init__(self, environment_id: str, thumbprint: str, *, home: Path | None = None) -> None:
        self._environment_id = environment_id
        self._thumbprint = thumbprint
        self._path = None if home is None else device_file(home, environment_id, _SUFFIX)
        self._kept: EnvironmentToken | None = None

    def usable(self, now: int) -> EnvironmentToken | None:
        """The kept token, if it is for this machine and key and has more than a minute left; `now` in milliseconds."""
        token = self._kept or self._read()
        if (
            token is None
            or token.environment_id != self._environment_id
            or token.dpop_thumbprint != self._thumbprint
            or token.expires_at_epoch_ms <= now + FRESH_MS
        ):
            return None
        self._kept = token
        return token

    def keep(self, token: EnvironmentToken) -> None:
        """A file that cannot be written costs the next command a connect, and nothing else."""
        self._kept = token
        if self._path is None:
            return
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        with contextlib.suppress(OSError):
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(token))
            draft.replace(self._path)

    def evict(self) -> None:
        """The machine no longer takes it."""
        self._kept = None
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _read(self) -> EnvironmentToken | None:
        if self._path is None:
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=EnvironmentToken)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

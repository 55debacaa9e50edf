"""The security mode of this machine: a secret file that fails closed.

    account           every device of the linked account gets in
    client-approval   each device's key must be approved here first

Nothing stored means `account`, as in T3 Code, but only on a machine that never stored a mode: Doorward stores
`client-approval` when the environment is made, and a mode that has vanished since is unreadable.
"""

from contextlib import suppress
from typing import Literal

from doorward.environment.keys import SecretExists, SecretStore, SecretStoreFailed, names

SecurityMode = Literal["account", "client-approval"]
SECURITY_MODES: tuple[SecurityMode, ...] = ("account", "client-approval")

# A corrupt value is shown to the owner; it may be anything, of any length.
_SHOWN_CHARACTERS = 80


class SecurityModeUnreadable(Exception):
    """Nobody may be let in: what is stored is not a mode. `write` repairs it."""

    code = "security_mode_unreadable"


class SecurityModes:
    def __init__(self, secrets: SecretStore) -> None:
        self._secrets = secrets

    def read(self) -> SecurityMode:
        """The stored mode. Raises SecurityModeUnreadable for anything but the two literals."""
        try:
            stored = self._secrets.get(names.SECURITY_MODE)
            if stored is None:
                if self._secrets.get(names.SECURITY_MODE_STORED) is not None:
                    raise SecurityModeUnreadable("Invalid Connect security mode: it was stored and is gone.")
                return "account"
        except SecretStoreFailed as error:
            raise SecurityModeUnreadable("Failed to load Connect security mode.") from error
        try:
            text = stored.decode().strip()
        except UnicodeDecodeError as error:
            raise SecurityModeUnreadable("Invalid Connect security mode: not text.") from error
        if text not in SECURITY_MODES:
            raise SecurityModeUnreadable(f"Invalid Connect security mode: {text[:_SHOWN_CHARACTERS]}")
        return text

    def write(self, mode: SecurityMode) -> None:
        """Store a mode without reading the old one: this is how an unreadable one is repaired.

        Raises SecretStoreFailed.
        """
        self._secrets.set(names.SECURITY_MODE, mode.encode())
        self._secrets.set(names.SECURITY_MODE_STORED, b"true")

    def initialise(self, mode: SecurityMode) -> None:
        """Store the first mode of a new environment; does nothing on one that ever stored a mode."""
        if self._secrets.get(names.SECURITY_MODE_STORED) is not None:
            return
        with suppress(SecretExists):  # a crash between the two files, or a mode set by hand: it stands
            self._secrets.create(names.SECURITY_MODE, mode.encode())
        self._secrets.set(names.SECURITY_MODE_STORED, b"true")

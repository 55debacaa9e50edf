"""Files of text that options name."""

from pathlib import Path


class TextUnreadable(Exception):
    """The message names the file and says why."""


def read_text(file: Path) -> str:
    """All of it. Raises TextUnreadable."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise TextUnreadable(f"{file} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise TextUnreadable(f"{file} is not UTF-8 text.") from error

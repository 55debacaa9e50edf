"""Rows of a file that may be larger than memory, each with the line it begins at."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

PIECE = 1 << 20
#: One user with all their metadata is far below it; without a bound a broken file would be read whole.
MAX_ROW = 1 << 20


class FileUnreadable(Exception):
    """The file cannot be read at all, or is another than it should be."""

    code = "file_unreadable"


class FileBroken(Exception):
    """The file cannot be read any further, and what was before that may be taken over; the message names the line."""

    code = "file_broken"


class Rows:
    """The rows of one file: objects of JSON (an array, JSON lines, or `inside` an object) or of a CSV with a header.

    Without a header CSV rows are lists. `share` is how much of the file was read.
    """

    def __init__(self, path: Path, *, inside: str | None = None, has_header: bool = True) -> None:
        self._inside = inside
        self._has_header = has_header
        try:
            self._size = max(path.stat().st_size, 1)
            self._bytes = path.open("rb")
        except OSError as error:
            raise FileUnreadable(f"{path} cannot be read ({error.strerror}).") from error
        self._path = path
        self._text = io.TextIOWrapper(self._bytes, encoding="utf-8-sig", newline="")

    def __enter__(self) -> Rows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()

    @property
    def share(self) -> float:
        return min(1.0, self._bytes.tell() / self._size)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Raises FileBroken."""
        line = 1
        try:
            for line, row in self._json() if self._first() in "[{" else self._csv():
                yield line, row
        except UnicodeDecodeError as error:
            raise FileBroken(f"{self._path} is not UTF-8 somewhere after line {line}.") from error

    def _first(self) -> str:
        """The first sign that says something, which stays to be read."""
        sign = self._text.read(1)
        while sign and sign.isspace():
            sign = self._text.read(1)
        self._text.seek(0)
        return sign or " "

    def _csv(self) -> Iterator[tuple[int, Any]]:
        csv.field_size_limit(MAX_ROW)
        reader: Any = csv.DictReader(self._text) if self._has_header else csv.reader(self._text)
        line = 1
        try:
            if self._has_header and reader.fieldnames is not None:
                line = reader.line_num + 1
            for row in reader:
                yield line, row
                line = reader.line_num + 1
        except csv.Error as error:
            raise FileBroken(f"{self._path}, line {line}: not CSV ({error}).") from error

    def _json(self) -> Iterator[tuple[int, Any]]:
        text = _Unread(self._text, self._path)
        if self._inside is not None and text.sign() == "{":
            text.skip_to_array(self._inside)
        is_array = text.sign() == "["
        if is_array:
            text.take()
        while (sign := text.sign()) != "]":
            if not sign:
                if is_array:
                    raise FileBroken(f"{self._path} ends in line {text.line}, before its list does.")
                return
            if sign == ",":
                text.take()
                continue
            line = text.line
            row = text.value()
            if not isinstance(row, dict):
                raise FileBroken(f"{self._path}, line {line}: a user is an object.")
            yield line, row


class _Unread:
    """JSON text of which a part is in memory."""

    def __init__(self, stream: io.TextIOWrapper, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._text = ""
        self._at = 0
        self._decoder = json.JSONDecoder()
        self.line = 1

    def sign(self) -> str:
        """The next sign that is no space, or nothing at the end."""
        while True:
            while self._at < len(self._text):
                sign = self._text[self._at]
                if not sign.isspace():
                    return sign
                self.line += sign == "\n"
                self._at += 1
            if not self._more():
                return ""

    def take(self) -> None:
        self._at += 1

    def value(self) -> Any:
        """The value that begins here. Raises FileBroken."""
        while True:
            try:
                found, end = self._decoder.raw_decode(self._text, self._at)
            except (json.JSONDecodeError, RecursionError) as error:
                if len(self._text) - self._at <= MAX_ROW and self._more():
                    continue
                raise FileBroken(f"{self._path}, line {self.line}: not JSON.") from error
            self.line += self._text.count("\n", self._at, end)
            self._at = end
            return found

    def skip_to_array(self, name: str) -> None:
        """Past `{"name":`, where the members before it are small."""
        self.take()
        while self.sign() == '"':
            found = self.value()
            if self.sign() != ":":
                break
            self.take()
            if found == name and self.sign() == "[":
                return
            self.sign()
            self.value()
            if self.sign() == ",":
                self.take()
        raise FileBroken(f'{self._path}, line {self.line}: there is no list "{name}".')

    def _more(self) -> bool:
        piece = self._stream.read(PIECE)
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)

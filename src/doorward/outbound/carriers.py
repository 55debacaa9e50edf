"""What carries one exchange to its host: connections to the network, or a way inside this process."""

import re
from collections.abc import Iterable, Mapping
from typing import Protocol

from doorward.outbound.addresses import Target

_METHOD = re.compile(r"[A-Z]+")
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
# No control character but a tab, and no space at either end (RFC 9110 §5.5).
_VALUE = re.compile(r"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")


class BrokenAnswer(Exception):
    """What came back is no HTTP/1.1 answer, or not all of one."""


class Answer(Protocol):
    """Where an answer goes. What `feed` raises ends the exchange and is raised by it."""

    def begin(self, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None: ...

    def feed(self, piece: bytes) -> None: ...


class Carrier(Protocol):
    """Time limits are the caller's, who cancels."""

    async def exchange(
        self, target: Target, method: str, fields: Mapping[str, str], body: bytes | None, answer: Answer
    ) -> None:
        """Ask, and feed `answer` until it is complete; `fields` are all of the head, names in lower case.

        Raises ValueError (the request cannot be written), AddressRefused, BrokenAnswer, OSError, what `answer` raises.
        """


def require_writable(method: str, fields: Mapping[str, str]) -> None:
    """Raises ValueError for what would not arrive as one head of these fields."""
    if not _METHOD.fullmatch(method):
        raise ValueError(f"this request cannot be written as HTTP: method {method!r}")
    for name, value in fields.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(f"this request cannot be written as HTTP: the header {name!r}")

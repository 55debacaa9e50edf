"""What a request or response head is, once it has been checked and freed of hop-by-hop fields.

Header names are lower case; order and repetition are kept. Framing (`transfer-encoding`, `connection`,
`upgrade`) belongs to one hop, so it is not among the headers: `length` and `upgrade` say the same in
words the next hop can frame anew. RFC 9110 §7.6.1, RFC 9112 §6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import msgspec

T = TypeVar("T")

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Never changed in place: requests that repeat a header block share one list, and what was derived from it."""

LENGTH_UNKNOWN = -1
"""The body ends with its own mark (chunked, or the end of the connection), not after a number of bytes."""

NO_BODY_STATUSES = frozenset({204, 304})

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"})
"""Methods of which several do no more than one (RFC 9110 §9.2.2)."""


class RequestHead(msgspec.Struct, gc=False):
    """A request without its body. `length` counts body bytes; `LENGTH_UNKNOWN` means chunked."""

    method: bytes
    target: bytes
    headers: Headers
    upgrade: bytes = b""
    length: int = 0

    def get(self, name: bytes) -> bytes | None:
        """The first value of the header `name` (lower case)."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def host(self) -> str:
        """`Host` in lower case, with its port when it has one; empty when the head has none."""
        for key, value in self.headers:
            if key == b"host":
                return value.decode("latin-1").lower()
        return ""

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]

    @property
    def is_upgrade(self) -> bool:
        return self.upgrade != b""

    @property
    def has_body(self) -> bool:
        return self.length != 0


class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """A response without its body. `upgrade` is set on a 101 only. Shared by all answers that say the same."""

    status: int
    reason: bytes
    headers: Headers
    upgrade: bytes = b""
    length: int = 0

    def get(self, name: bytes) -> bytes | None:
        """The first value of the header `name` (lower case)."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def is_interim(self) -> bool:
        """100 and 103 precede the real answer; 101 is one."""
        return 100 <= self.status < 200 and self.status != 101

    @property
    def has_body(self) -> bool:
        return self.length != 0


class Derived(dict[int, tuple[object, T]]):
    """What was made of a header list or a head, found again by the very object: no name or value is looked at.

    Clients repeat their header blocks, so the same list comes back for request after request. It holds the objects, which
    keeps their identities apart, and forgets them all when it has `size`. Where every request passes, the look-up is
    written out as `derived.get(id(made_of))`: it takes less time than a call of ours.
    """

    __slots__ = ("_size",)

    def __init__(self, size: int = 256) -> None:
        super().__init__()
        self._size = size

    def keep(self, made_of: object, made: T) -> T:
        if len(self) >= self._size:
            self.clear()
        self[id(made_of)] = (made_of, made)
        return made


def without(headers: Headers, names: frozenset[bytes]) -> Headers:
    """The headers whose names are not in `names`."""
    return [item for item in headers if item[0] not in names]

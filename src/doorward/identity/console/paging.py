"""Lists in pages, with addresses that can be kept."""

from collections.abc import Sequence
from typing import Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from doorward.identity.console.call import Call

T = TypeVar("T")

PAGE_SIZE = 25
MAX_PAGE = 100_000


def page_number(call: Call) -> int:
    """From 1; what is no number is the first page."""
    text = call.query.get("page", "")
    return min(max(int(text), 1), MAX_PAGE) if text.isascii() and text.isdigit() else 1


def offset_of(call: Call) -> int:
    return (page_number(call) - 1) * PAGE_SIZE


class Pager(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `total` is None where counting would cost more than it tells."""

    rows: tuple[T, ...]
    first: int
    previous_url: str | None
    next_url: str | None
    total: int | None = None

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1


def pager(call: Call, found: Sequence[T], total: int | None = None) -> Pager[T]:
    """`found` are the rows from `offset_of(call)`: a page, or, where nobody counted, one more if there are more."""
    number = page_number(call)
    has_next = len(found) > PAGE_SIZE if total is None else offset_of(call) + len(found) < total
    return Pager(
        rows=tuple(found[:PAGE_SIZE]),
        first=(number - 1) * PAGE_SIZE + 1,
        previous_url=url_with(call, page=str(number - 1)) if number > 1 else None,
        next_url=url_with(call, page=str(number + 1)) if has_next else None,
        total=total,
    )


def url_with(call: Call, **changed: str | None) -> str:
    """This page's address with other parameters; None drops one."""
    kept = {name: value for name, value in call.query.items() if name not in ("told", *changed)}
    given = {**kept, **{name: value for name, value in changed.items() if value is not None}}
    return f"{call.request.url.path}?{urlencode(given)}"

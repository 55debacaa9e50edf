"""`order_by`, `limit` and `offset` of a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from doorward.identity.errors import FORM_PARAM_VALUE_INVALID, Refused
from doorward.identity.paging import Slice

C = TypeVar("C", bound=str)


class Ordered(Protocol):
    """A query of a list that can be ordered."""

    @property
    def limit(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def order_by(self) -> str: ...


def slice_of(query: Ordered, orders: Mapping[str, str]) -> Slice:
    """Raises Refused (422) for an order that is not one of `orders`."""
    order, is_descending = order_of(query.order_by, orders)
    return Slice(query.limit, query.offset, order, is_descending)


def order_of(text: str, orders: Iterable[C]) -> tuple[C, bool]:
    """The order and whether from its end: `name` and `+name` ascend, `-name` descends. Raises Refused (422).

    A space in front was a `+` that nobody percent-encoded.
    """
    for order in orders:
        if text in (order, f"+{order}", f" {order}", f"-{order}"):
            return order, text.startswith("-")
    raise Refused(
        FORM_PARAM_VALUE_INVALID.at(
            "order_by", long_message=f"order_by must be one of {', '.join(orders)}, with + or - in front."
        )
    )

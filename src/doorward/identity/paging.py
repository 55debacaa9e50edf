"""Which part of a list is wanted, and in which order."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Slice(msgspec.Struct, frozen=True):
    """`limit` rows after the first `offset`. `order` is a key of the list's own table of orders."""

    limit: int
    offset: int = 0
    order: str = "created_at"
    is_descending: bool = True

    def order_by(self, columns: Mapping[str, str], tie: str = "id") -> str:
        """The end of a statement, whose last two parameters are `limit` and `offset`.

        Only what stands in `columns` ever gets into SQL: KeyError for any other order. Equal rows stand in the order of `tie`.
        """
        direction = "DESC" if self.is_descending else "ASC"
        return f"ORDER BY {columns[self.order]} {direction}, {tie} {direction} LIMIT ? OFFSET ?"

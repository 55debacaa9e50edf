"""`order_by` of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from doorward.identity.errors import FORM_PARAM_VALUE_INVALID, Refused

C = TypeVar("C", bound=str)


def order_of(text: str, columns: Sequence[C]) -> tuple[C, bool]:
    """The column and whether from its end: `name` and `+name` ascend, `-name` descends. Raises Refused (422).

    A space in front was a `+` that nobody percent-encoded.
    """
    for column in columns:
        if text in (column, f"+{column}", f" {column}", f"-{column}"):
            return column, text.startswith("-")
    raise Refused(
        FORM_PARAM_VALUE_INVALID.at(
            "order_by", long_message=f"order_by must be one of {', '.join(columns)}, with + or - in front."
        )
    )

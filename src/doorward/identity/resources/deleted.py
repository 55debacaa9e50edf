"""What is told of something that is gone."""

from __future__ import annotations

import msgspec


class Deleted(msgspec.Struct, frozen=True):
    """SDKs recognise it by `object` and `deleted` together."""

    object: str
    id: str
    deleted: bool = True

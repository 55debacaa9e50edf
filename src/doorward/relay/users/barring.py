"""Whom the accounts server barred, as far as this relay can tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

IsBarred = Callable[[str], Awaitable[bool]]
"""Whether the account of this id is banned or gone now. Asked at every request: an answer is never kept."""


async def nobody_is_barred(user_id: str) -> bool:
    """For accounts kept elsewhere, whose server does not say: only the lifetime of its tokens bounds them."""
    return False

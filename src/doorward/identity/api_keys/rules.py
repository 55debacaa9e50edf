"""What an API key looks like. Pure."""

from __future__ import annotations

import re

from doorward.identity.identifiers import new_secret

#: Uses of a key within this time of a noted one are not noted again: checking stays a matter of reading.
USE_NOTED_EVERY_MS = 60_000
SUBJECT = r"^(user|org|mch)_[0-9A-Za-z_]{27}$"

_SECRET = re.compile(r"ak_[A-Za-z0-9_-]{43}")


def new_api_secret() -> str:
    return f"ak_{new_secret()}"


def is_api_secret(text: str) -> bool:
    """Could this be one of ours? Anything else never reaches the database."""
    return _SECRET.fullmatch(text) is not None


def secret_context(key_id: str) -> str:
    """What a sealed secret is bound to."""
    return f"identity/api-key/{key_id}"


def is_use_worth_noting(last_used_at: int | None, now: int) -> bool:
    return last_used_at is None or now - last_used_at >= USE_NOTED_EVERY_MS

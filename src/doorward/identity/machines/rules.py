"""What machines may look like. Pure."""

from __future__ import annotations

import re

from doorward.identity.identifiers import new_secret

MAX_SCOPES = 150
MAX_TOKEN_SECONDS = 315_360_000  # ten years
MAX_GRACE_SECONDS = 28_800  # of a replaced key: eight hours

_SECRET = re.compile(r"ak_[A-Za-z0-9_-]{43}")


def new_secret_key() -> str:
    return f"ak_{new_secret()}"


def is_secret_key(text: str) -> bool:
    """Could this be one of ours? Anything else never reaches the database."""
    return _SECRET.fullmatch(text) is not None


def key_context(key_hash: str) -> str:
    """What a sealed secret key is bound to."""
    return f"identity/machine-key/{key_hash}"

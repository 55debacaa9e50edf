"""What a secret key looks like. Pure."""

from __future__ import annotations

import re

from doorward.identity.identifiers import new_secret

_FORM = re.compile(r"sk_(?:test|live)_[A-Za-z0-9_-]{32,64}")


def new_secret_key(*, development: bool) -> str:
    return f"sk_{'test' if development else 'live'}_{new_secret()}"


def is_secret_key(text: str) -> bool:
    """Could this be one of ours? Anything else never reaches the database."""
    return _FORM.fullmatch(text) is not None

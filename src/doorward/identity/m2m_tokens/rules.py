"""What a machine's token may hold, and who may use it. Pure."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from doorward.jose import canonical_json

#: Clerk's category of such JWTs, in their header.
CATEGORY = "cl_B7d4PD333AAA"
MAX_CLAIMS_BYTES = 4096
MAX_CLAIMS_DEPTH = 16
#: Uses of a token within this time of a noted one are not noted again: checking stays a matter of reading.
USE_NOTED_EVERY_MS = 60_000
#: Ended tokens are listed for this long, then forgotten.
KEPT_MS = 30 * 86_400_000

# What the token says by itself; a claim of these names could pass for it.
_RESERVED = frozenset(
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scopes", "scope", "scp", "sid", "azp"]
)
_TOKEN = re.compile(r"mt_[A-Za-z0-9_-]{43}")


def is_opaque_token(text: str) -> bool:
    """Could this be one of ours? Anything else never reaches the database."""
    return _TOKEN.fullmatch(text) is not None


def lifetime_ms(seconds: float) -> int:
    """Of what SDKs write as 3600, 3600.0 or 0.5."""
    return math.ceil(seconds * 1000)


def reserved_claims(claims: Mapping[str, Any]) -> list[str]:
    return sorted(_RESERVED & claims.keys())


def claims_problem(claims: Mapping[str, Any]) -> str | None:
    """Why nobody should be handed these claims."""
    if _depth(claims) > MAX_CLAIMS_DEPTH:
        return f"they are nested deeper than {MAX_CLAIMS_DEPTH} levels"
    if len(canonical_json(claims)) > MAX_CLAIMS_BYTES:
        return f"they take more than {MAX_CLAIMS_BYTES} bytes"
    return None


def likeness(claims: Mapping[str, Any] | None, scopes: Iterable[str]) -> str:
    """Equal for tokens that say the same."""
    return hashlib.sha256(canonical_json({"claims": claims, "scopes": sorted(scopes)})).hexdigest()


def is_use_worth_noting(last_used_at: int | None, now: int) -> bool:
    return last_used_at is None or now - last_used_at >= USE_NOTED_EVERY_MS


def jwt_claims(
    custom: Mapping[str, Any] | None,
    *,
    issuer: str,
    machine_id: str,
    token_id: str,
    scopes: list[str],
    issued_at: int,
    expires_at: int,
) -> dict[str, object]:
    """The payload, times in seconds. Receivers enforce the scope by `aud` or `scopes`, without asking us."""
    structural: dict[str, object] = {
        "iss": issuer,
        "sub": machine_id,
        "iat": issued_at,
        "nbf": issued_at,
        "exp": expires_at,
        "jti": token_id,
    }
    if scopes:
        structural |= {"aud": scopes, "scopes": " ".join(scopes)}
    return {**(custom or {}), **structural}


def _depth(value: object) -> int:
    """Level by level: recursion would end where Python's own does."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return depth

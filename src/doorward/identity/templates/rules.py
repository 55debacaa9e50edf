"""What a template may be: its name, its claims, its times, its key. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from doorward.identity.errors import (
    FORM_CONDITIONAL_PARAM_DISALLOWED,
    FORM_CONDITIONAL_PARAM_MISSING,
    FORM_PARAM_MAX_LENGTH,
    FORM_PARAM_VALUE_INVALID,
    SESSION_TOKEN_JWT_TEMPLATE,
    TEMPLATE_RESERVED_CLAIM,
    Problem,
)
from doorward.jose import ForeignSigningKey, InvalidKey

MIN_LIFETIME = 30  # seconds
MAX_LIFETIME = 315_360_000
DEFAULT_LIFETIME = 60
MAX_CLOCK_SKEW = 300
DEFAULT_CLOCK_SKEW = 5
MAX_CLAIMS_BYTES = 4096
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
CATEGORY_TEMPLATE = "cl_B7d4PD222AAA"
#: The template of this name, where there is one, adds its claims to session tokens.
FOR_SESSIONS = "session_token"

INSTANCE_ALGORITHM = "RS256"
CUSTOM_ALGORITHMS = frozenset(
    family + size for family in ("HS", "RS", "ES") for size in ("256", "384", "512")
)

# What the token says by itself, or what only a session token may say.
RESERVED_CLAIMS = frozenset(
    [
        "azp",
        "exp",
        "iat",
        "iss",
        "jti",
        "nbf",
        "sub",
        "sid",
        "v",
        "fva",
        "sts",
        "o",
        "pla",
        "fea",
        "act",
        "org_id",
        "org_role",
        "org_slug",
        "org_permissions",
    ]
)
# Triplit takes `x-triplit-token-type: secret` for an administrator, at whatever place its claims path points to.
_TRIPLIT_INTERNAL = "x-triplit-"


def claims_problems(claims: Mapping[str, object], encoded: bytes) -> list[Problem]:
    """What forbids these claims; `encoded` is their JSON."""
    reserved = sorted({*(RESERVED_CLAIMS & claims.keys()), *_internal_to_triplit(claims)})
    if reserved:
        return [
            TEMPLATE_RESERVED_CLAIM.at("claims", long_message=f"You can't use the reserved claim: '{name}'")
            for name in reserved
        ]
    if len(encoded) > MAX_CLAIMS_BYTES:
        return [
            FORM_PARAM_MAX_LENGTH.at("claims", long_message=f"claims have at most {MAX_CLAIMS_BYTES} bytes.")
        ]
    return []


def _internal_to_triplit(value: object) -> Iterator[str]:
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, Mapping):
            yield from (name for name in each if str(name).lower().startswith(_TRIPLIT_INTERNAL))
            pending += each.values()
        elif isinstance(each, list | tuple):
            pending += each


def session_token_problems(draft_name: str, stored_name: str | None, *, has_key: bool) -> list[Problem]:
    """What forbids the template that customises session tokens; `stored_name` is None for a new template."""
    if stored_name == FOR_SESSIONS and draft_name != FOR_SESSIONS:
        return [SESSION_TOKEN_JWT_TEMPLATE]
    if draft_name == FOR_SESSIONS and has_key:
        # Everybody who knows the instance's key set reads session tokens.
        return [
            FORM_PARAM_VALUE_INVALID.at(
                "custom_signing_key", long_message="Session tokens are signed by the instance's own key."
            )
        ]
    return []


def settings_problems(name: str, lifetime: int, allowed_clock_skew: int) -> list[Problem]:
    """What forbids a name, a lifetime or a skew (seconds)."""
    problems = []
    if not NAME.fullmatch(name):
        problems.append(
            FORM_PARAM_VALUE_INVALID.at(
                "name", long_message="A name has 1 to 64 letters, digits, hyphens and underscores."
            )
        )
    if not MIN_LIFETIME <= lifetime <= MAX_LIFETIME:
        problems.append(_out_of_range("lifetime", MIN_LIFETIME, MAX_LIFETIME))
    if not 0 <= allowed_clock_skew <= MAX_CLOCK_SKEW:
        problems.append(_out_of_range("allowed_clock_skew", 0, MAX_CLOCK_SKEW))
    return problems


def _out_of_range(param: str, least: int, most: int) -> Problem:
    return FORM_PARAM_VALUE_INVALID.at(
        param, long_message=f"{param} lies between {least} and {most} seconds."
    )


def key_problems(*, is_custom: bool, algorithm: str | None, key: str | None) -> list[Problem]:
    """What forbids the signing key a template brings."""
    given: dict[str, Any] = {"signing_algorithm": algorithm, "signing_key": key}
    if not is_custom:
        # An answer of ours sent back names the instance's own algorithm.
        given["signing_algorithm"] = None if algorithm == INSTANCE_ALGORITHM else algorithm
        return [
            FORM_CONDITIONAL_PARAM_DISALLOWED.at(
                param, long_message=f"{param} needs custom_signing_key to be true."
            )
            for param, value in given.items()
            if value
        ]
    problems = [
        FORM_CONDITIONAL_PARAM_MISSING.at(
            param, long_message=f"{param} must be included when custom_signing_key is true."
        )
        for param, value in given.items()
        if not value
    ]
    if problems or algorithm is None or key is None:
        return problems
    if algorithm not in CUSTOM_ALGORITHMS:
        listed = ", ".join(sorted(CUSTOM_ALGORITHMS))
        return [
            FORM_PARAM_VALUE_INVALID.at(
                "signing_algorithm", long_message=f"signing_algorithm is one of {listed}."
            )
        ]
    try:
        ForeignSigningKey.from_text(key, algorithm)
    except InvalidKey as refused:
        return [
            FORM_PARAM_VALUE_INVALID.at("signing_key", long_message=f"signing_key cannot be used: {refused}.")
        ]
    return []

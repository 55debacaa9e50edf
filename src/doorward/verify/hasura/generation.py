"""The AuthConfig that takes an issuer's tokens: what an operator would else copy out of a guide and get wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: The variable of the engine's environment that holds a key of the template's own.
KEY_VARIABLE = "HASURA_JWT_KEY"


def auth_config_for(
    claims: Mapping[str, Any], *, issuer: str, algorithm: str, has_own_key: bool
) -> dict[str, Any]:
    """A v3 document for tokens with these claims, which a template names: shortcodes may stand in them. Without a key of
    the template's own the engine reads the issuer's key set. Raises ValueError where no claim is Hasura's, and where the
    audience is a shortcode."""
    key = {"fixed": {"algorithm": algorithm, "key": {"valueFromEnv": KEY_VARIABLE}}}
    jwt: dict[str, Any] = {
        "claimsConfig": {"namespace": {"claimsFormat": "Json", "location": _namespace(claims)}},
        "key": key if has_own_key else {"jwkFromUrl": f"{issuer}/.well-known/jwks.json"},
        "tokenLocation": {"type": "BearerAuthorization"},
        "issuer": issuer,
    }
    audience = claims.get("aud") or []
    audiences = audience if isinstance(audience, list) else [audience]
    if any("{{" in str(each) for each in audiences):
        raise ValueError("aud is a shortcode, but an AuthConfig names its audiences.")
    if audiences:
        jwt["audience"] = audiences
    return {"kind": "AuthConfig", "version": "v3", "definition": {"mode": {"jwt": jwt}}}


def as_yaml(document: Mapping[str, Any], depth: int = 0) -> str:
    """Block style, one member a line; texts are written as JSON, which YAML reads as they are."""
    lines = []
    for name, value in document.items():
        start = f"{'  ' * depth}{name}:"
        if isinstance(value, Mapping):
            lines.append(f"{start}\n{as_yaml(value, depth + 1)}")
        else:
            lines.append(f"{start} {json.dumps(value)}\n")
    return "".join(lines)


def _namespace(claims: Mapping[str, Any]) -> str:
    """JSON pointer (RFC 6901) to the object that holds the session's variables."""
    for name, value in claims.items():
        if isinstance(value, Mapping) and any(
            str(member).lower().startswith("x-hasura-") for member in value
        ):
            return "/" + name.replace("~", "~0").replace("/", "~1")
    raise ValueError("None of the claims is an object with x-hasura-… members, which is what Hasura reads.")

"""Templates to begin with, as docs/data-layers.md has them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from doorward.identity.templates import rules


class Recipe(msgspec.Struct, frozen=True):
    """`lifetime` in seconds."""

    claims: dict[str, Any]
    lifetime: int = rules.DEFAULT_LIFETIME


RECIPES: Mapping[str, Recipe] = {
    "hasura": Recipe(
        {
            "aud": "hasura",
            "claims.jwt.hasura.io": {
                "x-hasura-default-role": "user",
                "x-hasura-allowed-roles": ["user"],
                "x-hasura-user-id": "{{user.id}}",
                "x-hasura-level": "{{user.public_metadata.level || 0}}",
            },
        },
        lifetime=300,
    ),
    "supabase": Recipe(
        {"aud": "authenticated", "role": "authenticated", "email": "{{user.primary_email_address}}"}
    ),
    "convex": Recipe(
        {
            "aud": "convex",
            "name": "{{user.full_name}}",
            "email": "{{user.primary_email_address}}",
            "email_verified": "{{user.email_verified}}",
        }
    ),
}

"""The instance's public keys, for SDKs that ask with their secret key."""

from __future__ import annotations

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire.shapes import NoBody, NoQuery
from doorward.identity.signing_keys.service import KeySet


async def get_jwks(call: Call[NoQuery, NoBody]) -> KeySet:
    """The JSON Web Key Set."""
    return call.identity.signing_keys.key_set


OPERATIONS = (operation("GET", "/jwks", get_jwks, answer=KeySet),)

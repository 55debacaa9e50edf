"""Tokens by which one machine proves itself to another: opaque ones (`mt_…`), and JWTs anybody verifies by the key set.

Owns `identity_m2m_tokens`. A machine makes tokens with its own secret key; each carries the scopes its machine had at
that moment, and is good at those machines alone. Opaque tokens are checked here and can be revoked; JWTs are not kept
and end by themselves. Minting leaves no audit row: the token's own row says who, when and for whom, and revocations
are audited. Mounts nothing: `backend_api/m2m_tokens.py` has the routes. Neighbour: `machines`.
"""

from doorward.identity.m2m_tokens.service import M2MTokens, MadeToken, TokenWish
from doorward.identity.m2m_tokens.store import M2MToken

__all__ = ["M2MToken", "M2MTokens", "MadeToken", "TokenWish"]

"""Signing keys: the RSA keys every token of this instance is signed with, and their public half as JWKS.

Owns `identity_signing_keys`. A key lives `next` (published, not yet signing) → `active` → `retired` (published, no
longer signing) → gone. Publishing a key before it signs and after it stopped is what lets verifiers cache. Routes:
`/.well-known/jwks.json`, and `/api/v1/jwks` for holders of a secret key.
"""

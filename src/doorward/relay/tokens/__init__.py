"""What the relay signs: link challenges, access tokens, and its requests to environments.

All are EdDSA JWTs of one key, the cloud-mint key, whose public half every environment pins at link time; `mint_key`
makes it once and keeps it sealed, because losing it means linking every machine again. No routes; neighbours:
`links`, `connect`, `api` (guards and the token endpoint).
"""

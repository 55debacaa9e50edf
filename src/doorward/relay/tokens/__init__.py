"""The relay's signing key, and the access tokens it signs.

Link challenges and requests to environments are signed with the same key, the cloud-mint key, whose public half every
environment pins at link time; `mint_key` makes it once and keeps it sealed, because losing it means linking every
machine again. No routes; neighbours: `links` (challenges), `connect` (requests), `api` (guards, token endpoint).
"""

"""Single use of proofs and nonces: what was accepted once is refused until it could not be accepted anyway.

One table serves DPoP proofs, link proofs and link challenges. A consume inserts and never prunes; the prune
job runs beside the requests. No routes; neighbours: `api` (DPoP), `links` (proof and challenge nonces).
"""

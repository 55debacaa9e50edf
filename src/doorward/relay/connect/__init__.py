"""Reaching an environment: the relay asks it, through its managed endpoint, for a credential or for its health.

Routes: `POST /v1/environments/{id}/connect` and `/status`. The relay decides only whether to ask; what the
environment answers is passed on when its signature, over our nonce, says the same as its body. Neighbours:
`links` and `endpoints` (whether and where to ask), `tokens` (the signed request), `outbound` (the call).
"""

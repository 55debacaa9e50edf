"""Restrictions: who may sign up or in, how often anything may be tried, and when an account pauses.

Owns `identity_listed_identifiers`, `identity_rate_limits` and `identity_failures`. Two named checks keep people out:
`require_sign_up_allowed` (mode, allow-list, block-list) and `require_sign_in_allowed` (block-list); both read what counts
inside the transaction they protect. Neighbours: `instance` holds the switches, `invitations` the tickets that open a
closed door, `sign_up` and `sign_in` ask, `sign_in` counts failures, everything spends limits.
"""

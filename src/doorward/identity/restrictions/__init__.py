"""Restrictions: who may sign up, how often anything may be tried, and when an account pauses.

Owns `identity_invitations`, `identity_rate_limits` and `identity_failures`. Sign-up is `open` or `invite-only`; an
invitation is a one-time ticket. The first administrator is made by such a ticket and by nothing else: there are no
default credentials. Neighbours: `sign_up` redeems tickets, `sign_in` counts failures, everything spends limits.
"""

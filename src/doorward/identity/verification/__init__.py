"""Verification: six-digit codes sent by e-mail, each bound to the attempt that asked for it.

Owns `identity_verifications`: one row per subject (a sign-up, a sign-in, an e-mail address being added), so asking
again voids the earlier code. Neighbours: `sign_up`, `sign_in` and `accounts` decide what a proved code means.
"""

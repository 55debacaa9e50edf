"""Tickets: single-use tokens of a back end that sign somebody in without a password.

Owns `identity_tickets`. A *sign-in token* signs its user in; an *actor token* lets somebody else act as the user, in a
session that says so (`act`) and is short. Wire in `backend_api/tickets.py`; `sign_in` redeems them.
"""

"""Invitations: one-time tickets, each a keyed hash and an end.

Owns `identity_invitations`. There is one mechanism for every kind: `administrator` makes the first administrator and is
given by nothing but the machine itself (there are no default credentials); `application` lets one address sign up;
`organization` lets it join an organization, signing up on the way if need be. The accept link is
`/v1/tickets/accept?ticket=…`; the ticket is in it and in no answer after the one that made it.
Neighbours: `sign_up` redeems tickets, `waitlist` and `organizations` make them, `restrictions` lets their holders in.
"""

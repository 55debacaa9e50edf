"""The waitlist: people who asked to be let in, and what became of them.

Owns `identity_waitlist_entries`. An address has one entry: `pending`, then `invited` (with an invitation of
`invitations`) and `completed` once its account exists, or `rejected`. `POST /v1/waitlist` puts anybody on it, in every
sign-up mode; the Backend API invites and rejects. `sign_up` completes entries.
"""

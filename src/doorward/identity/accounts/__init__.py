"""Accounts: people, their e-mail addresses and passwords.

Owns `identity_users` and `identity_email_addresses`, password hashing and the list of passwords we refuse. Its
routes (`/v1/me…`) are in `frontend_api/me.py`. Neighbours: `sign_up` creates accounts, `sign_in` checks passwords,
`verification` proves addresses, `sessions` ends them when a password changes.
"""

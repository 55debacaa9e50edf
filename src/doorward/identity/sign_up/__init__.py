"""Sign-up: an attempt that becomes an account once nothing is missing and the address is proved.

Owns `identity_sign_ups`. The status is never stored: it is computed from what is (`rules`). Routes in
`frontend_api/sign_ups.py`. Neighbours: `verification` proves the address, `restrictions` says who may, `accounts` and
`sessions` receive the result.

Whether an address already has an account is not told: the attempt goes on as if it were free, the address gets a mail
that says so instead of a code, and no code is ever right (`IdentitySettings.hide_accounts`, on by default).
"""

"""Which account a request speaks for: tokens of the accounts server, checked with its published keys.

Two kinds: a session's template JWT (browsers and apps) and an OAuth access token of a listed client (the command
line; the gate, at the token endpoint only). No routes; neighbours: `api` (guards and the token endpoint), `verify`.
"""

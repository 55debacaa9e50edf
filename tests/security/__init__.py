"""Attacks that cross rooms, and rules that hold for every route there is.

The rules are not lists of today's routes: they take the routes from the applications as they are assembled, so that a
new one without protection makes a test fail. Who may call an operation of the Backend API stands in `test_backend_keys`,
asked with every credential of `backend_credentials`; what belongs to a person, in `test_foreign_people`. What one room can prove of itself is proved in that room's suite:

    tests/jose, tests/verify              forged, stale and misdirected tokens
    tests/http1, tests/tunnel             smuggling, header injection, malformed frames at both ends
    tests/relay                           every check of link, token exchange, connect; names that mislead
    tests/environment, environment_pages  every check of mint, exchange, sessions, approvals; the owner's page
    tests/environment_gate                what an exposed service and its siblings cannot do (tossing, over TLS)
    tests/identity, identity_pages        sign-in, sessions, OAuth; what pages do not tell
    tests/outbound                        what we refuse to dial
"""

"""The OAuth 2.1 / OpenID Connect provider.

Owns `identity_oauth_*`. Flows: authorization code with PKCE S256 (always), refresh with rotation and reuse detection,
device authorization (RFC 8628). Two clients exist from the start: the command line (`doorward-cli`, loopback redirect
and device flow) and the gate (`doorward-gate`, whose redirect must lie in the gate zone and whose tokens are for one
environment, RFC 8707). Routes in `frontend_api/oauth.py`.

    rules.py        what a request must look like, as functions of plain values
    clients.py      registered clients: rows, and the two built-in ones
    grants.py       grants, codes, refresh and access tokens, consents: rows
    authorize.py    from an authorize request to a redirect, a sign-in or a consent
    tokens.py       the token endpoint: one class, one grant type a method
    devices.py      device authorization: rows and use cases
    inspection.py   userinfo, token_info, revocation, what a back end may know of an opaque token
    applications.py the clients that the Backend API manages
    errors.py       the table of OAuth errors
"""

"""The wire of identity: Clerk's Frontend API under `/v1`, OAuth under `/oauth`, and the well-known documents.

Routes and wire shapes only; every decision is a service's.

    wire.py             Clerk's resources as structs
    views.py            attempts to sign up and in, put into those structs (`resources` has all else)
    environment.py      the document `/v1/environment` answers with (environment.json)
    call.py             one request: visit, form, parameters; answers and errors
    dispatch.py         CORS, method override, versions, and the last handler of errors
    client.py, sessions.py, sign_ups.py, sign_ins.py, me.py, consent.py    routes
    oauth.py            `/oauth/…`
    well_known.py       JWKS and discovery
"""

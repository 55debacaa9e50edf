"""Sessions: a person signed in on a client, and the short tokens that say so.

Owns `identity_sessions`, `identity_refresh_tokens` and the session JWT. A session acts in at most one organization,
which counts as long as its user belongs to it. A session ends by its idle or its absolute lifetime, by the person, or by
a change that must end it (password, ban, deletion); every end is told on the channel `identity.sessions_revoked`.
Routes in `frontend_api/sessions.py`. Neighbours: `signing_keys` signs, `templates` adds claims, `oauth` asks who is
signed in.
"""

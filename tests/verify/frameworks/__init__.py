"""One application per framework, all with the same routes, and what serves them.

/          anybody: who the request is by
/orders    a session
/reports   a session with the permission org:orders:read
/machine   an M2M token
/any       a session or an API key
"""

"""Routes and wire of the environment: bytes in, a typed call to a service, bytes out. No decision is taken here.

    loopback_app (the machine's door)                  tunnel_app (what came through the tunnel)
    GET  /.well-known/t3/environment                   GET  /.well-known/t3/environment
    GET  /api/auth/session                             GET  /api/auth/session
    POST /api/auth/browser-session
    POST /oauth/token                                  POST /oauth/token          (key-bound credentials only)
    POST /api/auth/websocket-ticket                    POST /api/auth/websocket-ticket
    POST /api/auth/pairing-token, pairing-links…
    GET  /api/auth/clients, …/revoke, …/revoke-others
    POST /api/auth/connect-security-mode
    GET  /api/auth/connect-clients                     GET  /api/auth/connect-clients          } an administrator
    POST /api/auth/connect-clients/approve|reject|…    POST /api/auth/connect-clients/…        } device, where allowed
    POST /api/connect/link-proof, relay-config, …
    POST /api/t3-connect/health, mint-credential       POST /api/t3-connect/health, mint-credential
    POST /api/connect/mint-credential                  POST /api/connect/mint-credential
    GET  /ws                                           GET  /ws

`framing.py` runs an endpoint (authenticate, decode, authorise, handle: in this order), `doors.py` says which door a
request came through, `failures.py` turns our errors into the protocol's, `views.py` our values into its bodies,
`auth.py`, `tokens.py`, `connect.py`, `discovery.py` are the endpoints, `websocket.py`, `rpc.py` and
`auth_access.py` the socket, `apps.py` mounts them.
"""

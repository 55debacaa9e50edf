"""The gate: what stands between the tunnel and the local services of this machine.

Every request that comes through the tunnel is decided here, before a byte of it reaches anything local:

| host | path | goes to |
|---|---|---|
| API host | any | the environment's own application, through its unix socket |
| service host | `/.doorward/callback` | single-use code + nonce cookie become `__Host-doorward` |
| service host | `/.doorward/sign-out` | POST of the same origin: ends this browser's session here |
| service host | anything else | the local port, for a visitor with a session; else sign-in or 401 |
| any other | | 421 |

`headers` and `rules` are pure; `visits` answers who is visiting (cookie or proof of possession) from the environment's
sessions; `assertion` signs who it is for the service; `router` puts them together as a `doorward.http1` Router.
Neighbours: `environment.sessions` (sessions, children, codes), `environment.pages` (the API host's /gate pages, which
make the codes), `doorward.http1` (carries the bytes).
"""

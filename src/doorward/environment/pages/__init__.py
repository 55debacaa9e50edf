"""The pages a machine serves itself.

| door | path | what |
|---|---|---|
| API host (`tunnel_routes`) | `/gate`, `/gate/callback` | makes the device key, signs in, connects, waits for approval, goes on to the service |
| | `/gate/configuration.json`, `/gate/words.txt` | what the page needs to know |
| | `POST /gate/code` (DPoP) | single-use code for one service host |
| | `POST /gate/wait` (proof only) | long-polls the approval of this very key |
| | `/connections…` | only with remote administration: the narrower page for an administrator device |
| loopback (`loopback_routes`) | `/connections/open#token=…` | one-time link becomes the machine's management session |
| | `/connections…` | approvals, mode, services, sessions, audit, live |
| | `/.well-known/doorward/jwks.json` | key that signs `Doorward-Assertion` |

The loopback pages are never mounted on the tunnel's application. Neighbours: `environment.gate` (turns codes into cookies),
`environment` services (all state and every decision), `doorward.web` (how it looks).
"""

"""The agent on the owner's machine: the only authority that issues access to that machine.

Owns: the machine's identity and link key, pairing credentials, sessions, the approval of client keys,
minting for the relay, the link to the relay, the sessions' children for the gate, the audit trail.
Wire: docs/compatibility/connect-environment.md (T3 Connect) and docs/protocol-extensions.md (ours).

Mounts two applications, never one (a peer address proves nothing: the tunnel arrives on loopback too):

    Environment.loopback_app   the machine's own door: /.well-known/t3/environment, /.well-known/doorward/jwks.json,
                               /api/auth/*, /api/connect/*, /api/t3-connect/*, /oauth/token, /ws, loopback pages
    Environment.tunnel_app     what arrives through the tunnel at the API host: the descriptor, /api/t3-connect/*,
                               /oauth/token, /api/auth/session, /api/auth/websocket-ticket, /ws, the gate's pages, and
                               the four things an administrator device may do. Only key-bound sessions count here.

One folder per capability, the same words inside: `rules` (pure), `store` (SQL), `service` (one transaction).

    access/     who may do what: one pure table (Actor, Action, `refusal`)
    keys/       secret files, environment id, link key
    pairing/    one-time credentials
    sessions/   session tokens, tickets, request authentication, replay guards, connection counts, endings
    approvals/  the security mode and the state machine of client keys
    mint/       answering the relay: health and mint
    link/       link proof, relay configuration, reconcile at start, the connector, unlink
    relay_client/ cloudflared, where the relay gives Cloudflare's tunnels: find, install, run
    children/   what the gate issues under a session: codes and cookies of a service host
    services/   which local service answers at which public host
    stream/     auth-access events
    notifications/ telling the owner's browsers of a device that waits (Web Push)
    audit/      who let whom in; what, when, from where
    api/        routes and wire only
    gate/       the reverse proxy in front of local services (neighbour, built on the services below)
    pages/      the gate's and the owner's pages (neighbour; exports `tunnel_routes(environment)` and
                `loopback_routes(environment)`: sequences of Starlette routes that the two apps mount first)
    agent.py    `running_agent(settings)`: one process with database, both doors, control socket, gate, connector
    local.py    `open_machine(home)`: the verbs of `verbs.py` through the agent when one runs, else on the database

What `gate/`, `pages/` and the composition root use of an `Environment` (every method async unless noted):

    .settings, .clock, .environment_id, .label (plain values)
    .keys.link_key() -> PrivateKey (sync, cached)         signs Doorward-Assertion; iss is f"t3-env:{environment_id}"
    .authentication.verify_dpop(token, proof, *, method, url) -> Session      raises AuthenticationFailed (sessions.authentication)
    .authentication.verify_proof(proof, *, method, url) -> thumbprint         a proof without a token; consumed once
    .sessions.find(session_id) -> Session | None                              alive sessions only
    .sessions.end(session_id, *, by) -> bool
    .children.issue_code(session_id, service_host, nonce_hash) -> str         30 s, single use
    .children.redeem_code(code, service_host, nonce) -> Child | None          Child.cookie is shown once
    .children.authorise_cookie(cookie, service_host) -> Visitor | None        Visitor: session_id, subject, thumbprint, role,
                                                                              cloud_user_id, expires_at, session_expires_at
    .children.end(cookie) -> session id | None                                sign out of this service host alone
    .approvals.status(thumbprint) -> "pending" | "approved" | "rejected" | "unknown"
    .approvals.wait_for_change(thumbprint, *, seen, timeout_seconds) -> the status then
    .services.by_host(host) -> PublishedService | None (sync)                 host as in the Host header, port included
    .services.published() -> tuple[PublishedService, ...] (sync)
    .link.is_api_host(host) -> bool (sync); .link.api_origin() -> str | None (sync)
    .pairing.one_time_link() -> str                                           http://machine.localhost:<port>/connections/open#token=…
    .audit.recent(limit) -> list[AuditEntry]
    .services.when_moved(tell) (sync)                                         tell(origin) once it leads nowhere or elsewhere
    database channels: "environment.session_ended" (payload: session id; "" = reload), "environment.services" (a name), "environment.events"
"""

from doorward.environment.settings import EnvironmentSettings, Service

__all__ = ["EnvironmentSettings", "Service"]

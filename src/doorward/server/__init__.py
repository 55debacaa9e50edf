"""The composition root: configuration, assembly, listeners, lifecycle. The only room that may import every other.

configuration   doorward.toml and what follows from it
node            one server process: identity, relay and edge on their sockets, by role
edge_node       a node's edge, joined to the relay and to the other nodes
own_edge        from the relay to a machine of that edge, inside the process
serve           that process in production, from doorward.toml
env_file        that process from T3's and Clerk's variables; dotenv and stages behind it
backup/         backup and restore
doctor/         what is wrong, why it matters, how to mend it
keys            listing and replacing a server's keys
admin           metrics and health on a listener of their own; metrics, metered, machine_admin beside it
logs            JSON or plain lines, never a secret
tracing         spans to an OpenTelemetry collector
supervision     telling systemd
up              everything on this machine, with a demo service exposed
hosts           which ASGI application answers which host name
certificates    several certificates by name, renewed without a restart
tls             the local certificate authority of `up --tls`
demo/           the small service that `up` exposes
"""

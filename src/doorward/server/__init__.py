"""The composition root: configuration, assembly, listeners, lifecycle. The only room that may import every other.

configuration   doorward.toml and what follows from it
node            one server process: identity, relay and edge on their sockets, by role
up              everything on this machine, with a demo service exposed
hosts           which ASGI application answers which host name
tls             the local certificate authority of `up --tls`
demo/           the small service that `up` exposes
"""

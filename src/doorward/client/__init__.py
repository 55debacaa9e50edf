"""The client: how a program reaches a machine it was let in to.

Owns public configuration (where accounts and relay are), signing in from a terminal, the device's
key (one per machine and home folder), discovery through the relay, connecting (with the wait for
approval), and the local forwarder. It speaks the wire of `t3_connect` to any relay and environment,
ours or not; it imports none of the servers.

    configuration   which relay, which accounts server, and where that was said
    sign_in         authorization code + PKCE on loopback, and the device grant
    device_key      the P-256 key a machine's owner approves
    relay           the relay's API with its DPoP-bound tokens
    connection      relay connect -> approval -> environment session, kept fresh
    forward         a local HTTP/WebSocket port for a remote service
"""

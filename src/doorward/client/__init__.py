"""The client: how a program reaches a machine it was let in to.

Owns public configuration (where accounts and relay are), signing in from a terminal, the device's
key (one per machine and home folder), discovery through the relay, connecting (with the wait for
approval), and the local forwarder. It speaks the wire of `t3_connect` to any relay and environment,
ours or not; it imports none of the servers.

    configuration        which relay, which accounts server, and where that was said
    environment_files    `.env` files
    authorization        one authorization code request with PKCE
    sign_in              on loopback, by a pasted code, or by the device grant
    device_key           the P-256 key a machine's owner approves
    relay                the relay's API with its DPoP-bound tokens
    environment          a machine's API: descriptor, session, ticket
    environment_tokens   sessions kept between commands
    connection           relay connect -> approval -> session -> ticket
    rpc_socket           the socket to a machine
    supervisor           when to connect, wait, try again, give up (pure)
    live_connection      the supervisor's decisions, carried out
    discovery            which machines answer, as soon as it is known
    forward              a local HTTP/WebSocket port for a remote service
"""

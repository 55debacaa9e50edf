"""What a node of these tests is to be."""

from pathlib import Path

from doorward.identity import DevelopmentInbox, IdentitySettings
from doorward.relay import RelaySettings
from doorward.server.node import NodePlan
from doorward.store import system_clock

ACCOUNTS, RELAY = "http://accounts.localhost:8080", "http://relay.localhost:8080"


def identity_alone(folder: Path, *, webhook_private_hosts: tuple[str, ...] = ()) -> NodePlan:
    """Accounts on SQLite in `folder`; the relay they tell of is nowhere."""
    return NodePlan(
        roles=("identity",),
        database_url=f"sqlite:///{folder}/server.sqlite",
        key_file=folder / "kek",
        identity=IdentitySettings(
            origin=ACCOUNTS,
            development=True,
            sign_up="open",
            relay_origin=RELAY,
            gate_zone="env.localhost:8080",
            webhook_private_hosts=webhook_private_hosts,
        ),
        relay=RelaySettings(
            origin=RELAY,
            zone="env.localhost",
            endpoint_scheme="http",
            endpoint_port=8080,
            edge_url="http://edge.env.localhost:8080",
            accounts_issuer=ACCOUNTS,
            jwks_url=f"{ACCOUNTS}/.well-known/jwks.json",
        ),
        mailer=DevelopmentInbox(system_clock),
    )

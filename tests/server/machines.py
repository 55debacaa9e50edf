"""A linked machine and its owner as the database knows them, and a connector token: what a link leaves behind, without the link."""

import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from doorward.identity.accounts import store as accounts
from doorward.jose import b64url_encode
from doorward.relay.links.store import Capabilities, LinkRow, upsert
from doorward.store import Database, Tx
from doorward.tunnel import ConnectorToken


class Machine:
    """`names` are labels in the zone: its API host first, then services."""

    def __init__(self, *names: str, zone: str, account: str = "user_1") -> None:
        self.hosts = [f"{name}.{zone}" for name in names]
        self.names = names
        self.account = account
        self.tunnel_id = secrets.token_hex(16)
        self.seed = secrets.token_bytes(32)

    async def register(self, database: Database) -> None:
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        key, environment = b64url_encode(public), f"env-{self.tunnel_id}"

        def write(tx: Tx) -> None:
            if accounts.find_user(tx, self.account) is None:
                _insert_account(tx, self.account)
            link = LinkRow(
                user_id=self.account,
                environment_id=environment,
                environment_label=self.names[0],
                environment_public_key=key,
                http_base_url=f"https://{self.hosts[0]}",
                ws_base_url=f"wss://{self.hosts[0]}",
                provider_kind="cloudflare_tunnel",
                created_at=1,
                made_at=1,
                made_from="",
            )
            upsert(tx, link, Capabilities(False, False, True), device_id=None, now=1)
            tx.execute(
                "INSERT INTO relay_managed_endpoint_allocations (user_id, environment_id, hostname, tunnel_name,"
                " tunnel_id, dns_record_id, ready_at, generation, tunnel_public_key, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?, 'embedded', 1, 1, ?, 1, 1)",
                (self.account, environment, self.hosts[0], self.tunnel_id, self.tunnel_id, key),
            )
            for name in self.names[1:]:
                tx.execute(
                    "INSERT INTO relay_service_names (name, user_id, environment_id, created_at, updated_at)"
                    " VALUES (?, ?, ?, 1, 1)",
                    (name, self.account, environment),
                )

        await database.write(write)

    def token(self, edge_url: str) -> ConnectorToken:
        return ConnectorToken(
            edge_url=edge_url,
            hostnames=[self.hosts[0]],
            environment_id=self.tunnel_id,
            generation=1,
            seed=self.seed,
        )


def _insert_account(tx: Tx, user_id: str) -> None:
    email_id = f"idn_{user_id}"
    accounts.insert_user(
        tx,
        accounts.UserRecord(
            user_id, email_id, None, None, None, None, "{}", "{}", False, False, None, None, 1, 1
        ),
    )
    address = f"{user_id}@example.com"
    accounts.insert_email(tx, accounts.EmailAddressRecord(email_id, user_id, address, 1, 1, 1))

"""Whose environment credential is this."""

from doorward.relay.credentials import store
from doorward.relay.credentials.rules import hash_credential
from doorward.relay.credentials.store import CredentialOwner
from doorward.relay.links import store as link_store
from doorward.store import Database, Tx


class Credentials:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def authenticate(self, token: str) -> CredentialOwner | None:
        """The account, environment and key a credential was issued for; `None` when it is unknown, revoked, or its
        account is no longer linked with that key (another account's link may keep the row alive)."""
        credential_hash = hash_credential(token)

        def read(tx: Tx) -> CredentialOwner | None:
            owner = store.find_active(tx, credential_hash)
            if owner is None:
                return None
            link = link_store.find_active(tx, user_id=owner.user_id, environment_id=owner.environment_id)
            is_linked = link is not None and link.environment_public_key == owner.environment_public_key
            return owner if is_linked else None

        return await self._database.lookup(read)

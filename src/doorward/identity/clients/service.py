"""Making clients and rotating their tokens, inside the caller's transaction."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from doorward.identity.clients import store
from doorward.identity.clients.store import ClientRecord
from doorward.identity.identifiers import new_id, new_secret
from doorward.identity.keyed_hash import KeyedHash
from doorward.store import Tx

T = TypeVar("T")

_PURPOSE = "client-token"


class ClientChange(msgspec.Struct, frozen=True):
    """What a response must tell the browser about its client.

    `token` is the new rotating token when the cookie has to be set; `is_gone` when the client was deleted;
    `signed_in_at` is the client's `updated_at` (ms) while it has a session, else None.
    """

    client_id: str | None
    token: str | None = None
    is_gone: bool = False
    signed_in_at: int | None = None

    def __repr__(self) -> str:
        return f"ClientChange({self.client_id})"


class Changed(msgspec.Struct, Generic[T], frozen=True):
    """A use case's result, and what became of the browser's client on the way."""

    value: T
    client: ClientChange


class FreshClient(msgspec.Struct, frozen=True):
    """A client ready to be inserted; made outside the transaction because randomness is."""

    record: ClientRecord
    token: str

    def __repr__(self) -> str:
        return f"FreshClient({self.record.id})"


class Clients:
    def __init__(self, keyed_hash: KeyedHash) -> None:
        self._hash = keyed_hash

    def fresh(self, now: int) -> FreshClient:
        token = new_secret()
        return FreshClient(
            ClientRecord(new_id("client"), self.token_hash(token), None, None, now, now), token
        )

    def token_hash(self, token: str) -> str:
        return self._hash.of(_PURPOSE, token)

    def authenticate(self, tx: Tx, client_id: str, token: str) -> ClientRecord | None:
        """The client, if the token is its current one. A stale token is no client, never an error."""
        client = store.find(tx, client_id)
        if client is None or not self._hash.matches(_PURPOSE, token, client.token_hash):
            return None
        return client

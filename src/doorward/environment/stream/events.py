"""The kinds of auth-access event, in our own words, as they travel on the database channel.

Each carries the whole new state of one object: a reader that sees one twice, or late, ends up right.
"""

import msgspec

from doorward.environment.approvals.mode import SecurityMode
from doorward.environment.approvals.rules import Client
from doorward.environment.pairing.rules import PairingLink
from doorward.environment.sessions.store import Session
from doorward.store import Tx

CHANNEL = "environment.events"


class ClientChanged(msgspec.Struct, frozen=True, tag=True):
    client: Client


class ClientRemoved(msgspec.Struct, frozen=True, tag=True):
    thumbprint: str


class PairingLinkChanged(msgspec.Struct, frozen=True, tag=True):
    link: PairingLink


class PairingLinkRemoved(msgspec.Struct, frozen=True, tag=True):
    link_id: str


class SessionChanged(msgspec.Struct, frozen=True, tag=True):
    session: Session
    is_connected: bool


class SessionRemoved(msgspec.Struct, frozen=True, tag=True):
    session_id: str


class ModeChanged(msgspec.Struct, frozen=True, tag=True):
    mode: SecurityMode
    #: Sets two changes to the same mode apart: equal notifications of one moment arrive once.
    at: int


Event = (
    ClientChanged
    | ClientRemoved
    | PairingLinkChanged
    | PairingLinkRemoved
    | SessionChanged
    | SessionRemoved
    | ModeChanged
)

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def announce(tx: Tx, event: Event) -> None:
    """Tell every subscriber, once the transaction has committed."""
    tx.notify(CHANNEL, msgspec.json.encode(event).decode())


def read_event(payload: str) -> Event | None:
    """The event of a channel payload; None for "something may have been missed, reload"."""
    return _decoder.decode(payload) if payload else None

"""`subscribeAuthAccess`: a snapshot, then every change (connect-environment §3.4).

It subscribes first and loads the snapshot afterwards: a change in between is delivered after the snapshot, and
says the whole new state of its object, so nothing is lost and seeing it twice does no harm. What a subscriber may
not list it does not hear of either.
"""

from collections.abc import AsyncGenerator

import msgspec

from doorward.environment.access import Action, Actor, refusal
from doorward.environment.api import views
from doorward.environment.api.rpc import RpcFailed
from doorward.environment.approvals.mode import SecurityModeUnreadable
from doorward.environment.environment import Environment
from doorward.environment.stream import CHANNEL, read_event
from doorward.environment.stream.events import (
    ClientChanged,
    ClientRemoved,
    Event,
    ModeChanged,
    PairingLinkChanged,
    PairingLinkRemoved,
    SessionChanged,
    SessionRemoved,
)
from doorward.store import StoreError
from doorward.t3_connect import messages
from doorward.t3_connect.wire import Wire


class AuthAccessStreamError(msgspec.Struct, frozen=True, tag=True, tag_field="_tag"):
    message: str


class Snapshot(Wire, frozen=True, kw_only=True):
    connect_security_mode: messages.SecurityMode
    connect_clients: list[messages.ConnectClient]
    pairing_links: list[messages.PairingLink]
    client_sessions: list[messages.ClientSession]


class PairingLinkGone(Wire, frozen=True, kw_only=True):
    id: str


class SessionGone(Wire, frozen=True, kw_only=True):
    session_id: str


class ConnectClientGone(Wire, frozen=True, kw_only=True):
    client_proof_key_thumbprint: str


class StreamEvent(Wire, frozen=True, kw_only=True):
    version: int
    revision: int
    type: str
    payload: Wire


async def auth_access(environment: Environment, actor: Actor) -> AsyncGenerator[object, None]:
    """The values of one subscription; `revision` counts from 1 for this subscriber alone."""
    revision = 0
    async with environment.database.subscribe(CHANNEL) as payloads:
        revision += 1
        yield StreamEvent(
            version=1, revision=revision, type="snapshot", payload=await _snapshot(environment, actor)
        )
        async for payload in payloads:
            event = read_event(payload)
            if event is None:
                # Another process wrote to the database: only a whole new picture is certain to be right.
                shown: tuple[str, Wire] | None = ("snapshot", await _snapshot(environment, actor))
            else:
                shown = _shown(event, actor)
            if shown is not None:
                revision += 1
                yield StreamEvent(version=1, revision=revision, type=shown[0], payload=shown[1])


async def _snapshot(environment: Environment, actor: Actor) -> Snapshot:
    try:
        mode = environment.approvals.mode()
    except SecurityModeUnreadable as error:
        raise RpcFailed(AuthAccessStreamError("Failed to read Connect security mode.")) from error
    try:
        clients = await environment.approvals.list(actor)
    except StoreError as error:
        raise RpcFailed(AuthAccessStreamError("Failed to list Connect clients.")) from error
    try:
        links = await environment.pairing.list(actor) if _may(actor, Action.SEE_PAIRING) else []
        sessions = await environment.sessions.list(actor) if _may(actor, Action.SEE_SESSIONS) else []
    except StoreError as error:
        raise RpcFailed(AuthAccessStreamError("Failed to load access snapshot.")) from error
    return Snapshot(
        connect_security_mode=mode,
        connect_clients=[views.connect_client(client) for client in clients],
        pairing_links=[views.pairing_link(link) for link in links],
        client_sessions=[
            views.client_session(item.session, is_connected=item.is_connected, current=actor.name)
            for item in sessions
        ],
    )


def _shown(event: Event, actor: Actor) -> tuple[str, Wire] | None:
    """The event's wire type and payload; None when this subscriber may not see it."""
    match event:
        case ModeChanged():
            return "connectSecurityModeUpdated", messages.SecurityModeBody(mode=event.mode)
        case ClientChanged():
            return "connectClientUpserted", views.connect_client(event.client)
        case ClientRemoved():
            return "connectClientRemoved", ConnectClientGone(client_proof_key_thumbprint=event.thumbprint)
        case PairingLinkChanged() if _may(actor, Action.SEE_PAIRING) and event.link.is_listed:
            return "pairingLinkUpserted", views.pairing_link(event.link)
        case PairingLinkRemoved() if _may(actor, Action.SEE_PAIRING):
            return "pairingLinkRemoved", PairingLinkGone(id=event.link_id)
        case SessionChanged() if _may(actor, Action.SEE_SESSIONS):
            session = views.client_session(event.session, is_connected=event.is_connected, current=actor.name)
            return "clientUpserted", session
        case SessionRemoved() if _may(actor, Action.SEE_SESSIONS):
            return "clientRemoved", SessionGone(session_id=event.session_id)
        case _:
            return None


def _may(actor: Actor, action: Action) -> bool:
    return refusal(actor, action) is None

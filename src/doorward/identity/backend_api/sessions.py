"""Sessions, the browsers they are open in, and tokens made of them."""

from __future__ import annotations

import msgspec

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire import sessions as wire
from doorward.identity.backend_api.wire.shapes import Listed, NoBody, NoQuery, Page
from doorward.identity.clients.store import ClientRecord
from doorward.identity.resources.sessions import Token, activity
from doorward.identity.sessions.rules import status_of
from doorward.identity.sessions.store import SessionRecord


def session(record: SessionRecord, now: int) -> wire.Session:
    return wire.Session(
        id=record.id,
        user_id=record.user_id,
        client_id=record.client_id,
        status=status_of(record, now),
        actor=None if record.actor is None else msgspec.Raw(record.actor.encode()),
        latest_activity=activity(record),
        last_active_organization_id=record.active_organization_id,
        last_active_at=record.last_active_at,
        expire_at=record.expire_at,
        abandon_at=record.abandon_at,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def client(record: ClientRecord, sessions: list[SessionRecord], now: int) -> wire.Client:
    return wire.Client(
        id=record.id,
        session_ids=[each.id for each in sessions],
        sessions=[session(each, now) for each in sessions],
        last_active_session_id=record.last_active_session_id,
        last_authentication_strategy=record.last_authentication_strategy,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


async def list_sessions(call: Call[wire.SessionPage, NoBody]) -> wire.Sessions:
    """Sessions of a user or a browser, newest first."""
    query = call.query
    records, count = await call.identity.session_administration.page(
        client_id=query.client_id,
        user_id=query.user_id,
        status=query.status,
        limit=query.limit,
        offset=query.offset,
    )
    shown = [session(record, call.now) for record in records]
    return Listed(shown, count) if query.paginated else shown


async def create_session(call: Call[NoQuery, wire.CreateSession]) -> wire.Session:
    """Begin a session for a test; development instances alone do so."""
    record = await call.identity.session_administration.create(
        call.body.user_id, active_organization=call.body.active_organization_id, actor=call.caller.id
    )
    return session(record, call.now)


async def get_session(call: Call[NoQuery, NoBody]) -> wire.Session:
    """One session."""
    return session(await call.identity.session_administration.get(call.path["session_id"]), call.now)


async def revoke_session(call: Call[NoQuery, NoBody]) -> wire.Session:
    """End a session."""
    record = await call.identity.session_administration.revoke(call.path["session_id"], actor=call.caller.id)
    return session(record, call.now)


async def create_session_token(call: Call[NoQuery, wire.CreateToken]) -> Token:
    """A fresh token of a living session."""
    return Token(
        await call.identity.session_administration.token(
            call.path["session_id"], template=None, lifetime=call.body.expires_in_seconds
        )
    )


async def create_template_token(call: Call[NoQuery, wire.CreateToken]) -> Token:
    """A token of a template, for the user of a living session."""
    return Token(
        await call.identity.session_administration.token(
            call.path["session_id"],
            template=call.path["template_name"],
            lifetime=call.body.expires_in_seconds,
        )
    )


async def refresh_session(call: Call[wire.RefreshQuery, wire.Refresh]) -> Token | wire.Cookies:
    """Renew an expired token with its browser's refresh token: as a token, or as cookies to set."""
    body = call.body
    token = await call.identity.refresh_tokens.redeem(
        call.path["session_id"],
        expired_token=body.expired_token,
        refresh_token=body.refresh_token,
        request_origin=body.request_origin,
    )
    if body.format != "cookie":
        return Token(token)
    names = ["__session"]
    if call.query.suffixed_cookies:
        names.append(f"__session_{call.identity.visits.cookie_suffix}")
    secure = " Secure;" if body.request_origin.startswith("https:") else ""
    return wire.Cookies([f"{name}={token}; Path=/; Max-Age=31536000;{secure} SameSite=Lax" for name in names])


async def verify_session(call: Call[NoQuery, wire.GivenToken]) -> wire.Session:
    """The session, if the token is a living one of it."""
    record = await call.identity.session_administration.verify(call.path["session_id"], call.body.token)
    return session(record, call.now)


async def list_clients(call: Call[Page, NoBody]) -> wire.Clients:
    """Browsers, newest first."""
    found, count = await call.identity.session_administration.clients(
        limit=call.query.limit, offset=call.query.offset
    )
    shown = [client(record, sessions, call.now) for record, sessions in found]
    return Listed(shown, count) if call.query.paginated else shown


async def get_client(call: Call[NoQuery, NoBody]) -> wire.Client:
    """One browser and its sessions."""
    record, sessions = await call.identity.session_administration.client(call.path["client_id"])
    return client(record, sessions, call.now)


async def verify_client(call: Call[NoQuery, wire.GivenToken]) -> wire.Client:
    """The browser whose `__client` cookie this is."""
    record, sessions = await call.identity.session_administration.client_of(
        call.body.token, call.identity.visits.open_cookie
    )
    return client(record, sessions, call.now)


OPERATIONS = (
    operation("GET", "/sessions", list_sessions, query=wire.SessionPage, answer=wire.Sessions),
    operation("POST", "/sessions", create_session, body=wire.CreateSession, answer=wire.Session),
    operation("GET", "/sessions/{session_id}", get_session, answer=wire.Session),
    operation("POST", "/sessions/{session_id}/revoke", revoke_session, answer=wire.Session),
    operation(
        "POST", "/sessions/{session_id}/tokens", create_session_token, body=wire.CreateToken, answer=Token
    ),
    operation(
        "POST",
        "/sessions/{session_id}/tokens/{template_name}",
        create_template_token,
        body=wire.CreateToken,
        answer=Token,
    ),
    operation(
        "POST",
        "/sessions/{session_id}/refresh",
        refresh_session,
        query=wire.RefreshQuery,
        body=wire.Refresh,
        answer=wire.Refreshed,
    ),
    operation(
        "POST", "/sessions/{session_id}/verify", verify_session, body=wire.GivenToken, answer=wire.Session
    ),
    operation("GET", "/clients", list_clients, query=Page, answer=wire.Clients),
    operation("POST", "/clients/verify", verify_client, body=wire.GivenToken, answer=wire.Client),
    operation("GET", "/clients/{client_id}", get_client, answer=wire.Client),
)

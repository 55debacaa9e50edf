"""`/api/auth/*`: sessions, pairing links, device approvals (connect-environment §2.3, A1, A2, A4-A15)."""

from email.utils import formatdate
from typing import Literal

from msgspec import UNSET, UnsetType

from doorward.environment.access import Action
from doorward.environment.api import views
from doorward.environment.api.doors import cookie_of, is_own_page
from doorward.environment.api.framing import Call, Endpoint, Reply, authenticate
from doorward.environment.approvals.rules import Client
from doorward.environment.descriptor import COOKIE_NAME
from doorward.environment.link.errors import LinkRefused
from doorward.environment.sessions.authentication import AuthenticationFailed
from doorward.environment.sessions.service import Caller
from doorward.t3_connect import EnvironmentError_, InvalidScope, iso, known, messages, unset_if_none
from doorward.t3_connect.errors import EnvironmentScopeRequired
from doorward.t3_connect.scopes import STANDARD_SCOPES


class ApprovalRequest(messages.ConnectClientReference, frozen=True, kw_only=True):
    """`role` is ours; only the machine itself may grant `administrator`."""

    role: Literal["standard", "administrator"] | UnsetType = UNSET


async def session_state(call: Call) -> Reply:
    environment = call.environment
    try:
        session = await authenticate(call.request, environment, call.door)
    except AuthenticationFailed:
        return Reply(messages.SessionState(authenticated=False, auth=environment.auth_descriptor))
    return Reply(
        messages.SessionState(
            authenticated=True,
            auth=environment.auth_descriptor,
            scopes=views.scopes(session.scopes),
            session_method=session.method,
            expires_at=iso(session.expires_at),
        )
    )


async def browser_session(call: Call) -> Reply:
    """A cookie for a credential. A foreign page may not sign its visitor in here."""
    if call.request.headers.get("origin") is not None and not is_own_page(
        call.request, call.environment, must_have_origin=True
    ):
        raise LinkRefused("forbidden", "A session can only be opened by this machine's own page.")
    issued = await call.environment.sessions.exchange(
        call.body.credential,
        method="browser-session-cookie",
        thumbprint=None,
        requested_scopes=None,
        caller=Caller(user_agent=call.request.headers.get("user-agent"), ip_address=call.address),
    )
    session = issued.session
    expires = formatdate(session.expires_at / 1000, usegmt=True)
    cookie = f"{COOKIE_NAME}={issued.token}; Path=/; Expires={expires}; HttpOnly; SameSite=Lax"
    return Reply(
        messages.BrowserSessionResponse(
            authenticated=True,
            scopes=views.scopes(session.scopes),
            session_method="browser-session-cookie",
            expires_at=iso(session.expires_at),
        ),
        {"set-cookie": cookie},
    )


async def websocket_ticket(call: Call) -> Reply:
    """No page of another site gets to read the answer; with the owner's cookie it gets none either."""
    is_by_cookie = cookie_of(call.request, call.door) is not None
    if is_by_cookie and not is_own_page(call.request, call.environment, must_have_origin=True):
        raise LinkRefused("forbidden", "A ticket is given to this machine's own page only.")
    ticket, expires_at = call.environment.sessions.ticket(call.caller)
    return Reply(messages.WebSocketTicket(ticket=ticket, expires_at=iso(expires_at)))


async def create_pairing_token(call: Call) -> Reply:
    body: messages.PairingTokenRequest = call.body
    wanted = known(body.scopes)
    if wanted is not None and (not wanted or len(set(wanted)) != len(wanted)):
        raise InvalidScope("no scope, or one named twice")
    granted: tuple[str, ...] = STANDARD_SCOPES if wanted is None else wanted
    for scope in wanted or ():
        if scope not in call.caller.scopes:
            # Nobody hands on what they do not hold.
            raise EnvironmentError_(EnvironmentScopeRequired(required_scope=scope))
    link = await call.environment.pairing.create(call.actor, scopes=granted, label=known(body.label))
    return Reply(
        messages.PairingToken(
            id=link.id,
            credential=link.credential,
            label=unset_if_none(link.label),
            expires_at=iso(link.expires_at),
        )
    )


async def list_pairing_links(call: Call) -> Reply:
    return Reply([views.pairing_link(link) for link in await call.environment.pairing.list(call.actor)])


async def revoke_pairing_link(call: Call) -> Reply:
    return Reply(messages.Revoked(revoked=await call.environment.pairing.revoke(call.actor, call.body.id)))


async def list_clients(call: Call) -> Reply:
    return Reply(
        [
            views.client_session(item.session, is_connected=item.is_connected, current=call.caller.id)
            for item in await call.environment.sessions.list(call.actor)
        ]
    )


async def revoke_client(call: Call) -> Reply:
    is_revoked = await call.environment.sessions.end_other(call.body.session_id, by=call.actor)
    return Reply(messages.Revoked(revoked=is_revoked))


async def revoke_other_clients(call: Call) -> Reply:
    return Reply(
        messages.RevokedCount(revoked_count=await call.environment.sessions.end_others(by=call.actor))
    )


async def set_security_mode(call: Call) -> Reply:
    await call.environment.approvals.set_mode(call.actor, call.body.mode)
    return Reply(call.body)


async def list_connect_clients(call: Call) -> Reply:
    return Reply(
        [views.connect_client(client) for client in await call.environment.approvals.list(call.actor)]
    )


async def approve_connect_client(call: Call) -> Reply:
    body: ApprovalRequest = call.body
    client = await call.environment.approvals.approve(
        call.actor, body.client_proof_key_thumbprint, role=known(body.role)
    )
    return _decision(client)


async def reject_connect_client(call: Call) -> Reply:
    body: messages.ConnectClientReference = call.body
    return _decision(await call.environment.approvals.reject(call.actor, body.client_proof_key_thumbprint))


async def revoke_connect_client(call: Call) -> Reply:
    body: messages.ConnectClientReference = call.body
    is_revoked = await call.environment.approvals.revoke(call.actor, body.client_proof_key_thumbprint)
    return Reply(messages.Revoked(revoked=is_revoked))


def _decision(client: Client | None) -> Reply:
    return Reply(
        messages.ConnectClientDecision(client=None if client is None else views.connect_client(client))
    )


SESSION_STATE = Endpoint("GET", "/api/auth/session", session_state, "internal_error")
WEBSOCKET_TICKET = Endpoint(
    "POST",
    "/api/auth/websocket-ticket",
    websocket_ticket,
    "websocket_ticket_issuance_failed",
    needs_session=True,
    is_no_store=True,
)

#: What a remote administrator reaches through the tunnel; `access.rules` says who that is.
DEVICE_ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/auth/connect-clients",
        list_connect_clients,
        "connect_clients_load_failed",
        action=Action.SEE_DEVICES,
    ),
    Endpoint(
        "POST",
        "/api/auth/connect-clients/approve",
        approve_connect_client,
        "connect_client_approval_failed",
        body=ApprovalRequest,
        action=Action.APPROVE_STANDARD,
    ),
    Endpoint(
        "POST",
        "/api/auth/connect-clients/reject",
        reject_connect_client,
        "connect_client_rejection_failed",
        body=messages.ConnectClientReference,
        action=Action.REJECT,
    ),
    Endpoint(
        "POST",
        "/api/auth/connect-clients/revoke",
        revoke_connect_client,
        "connect_client_revoke_failed",
        body=messages.ConnectClientReference,
        action=Action.REVOKE,
    ),
)

#: What only the machine's own door offers.
LOCAL_ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/auth/browser-session",
        browser_session,
        "browser_session_issuance_failed",
        body=messages.BrowserSessionRequest,
        is_no_store=True,
    ),
    Endpoint(
        "POST",
        "/api/auth/pairing-token",
        create_pairing_token,
        "pairing_credential_issuance_failed",
        body=messages.PairingTokenRequest,
        action=Action.PAIR,
        is_no_store=True,
    ),
    Endpoint(
        "GET",
        "/api/auth/pairing-links",
        list_pairing_links,
        "pairing_links_load_failed",
        action=Action.SEE_PAIRING,
        is_no_store=True,
    ),
    Endpoint(
        "POST",
        "/api/auth/pairing-links/revoke",
        revoke_pairing_link,
        "pairing_link_revoke_failed",
        body=messages.PairingLinkReference,
        action=Action.PAIR,
    ),
    Endpoint(
        "GET", "/api/auth/clients", list_clients, "client_sessions_load_failed", action=Action.SEE_SESSIONS
    ),
    Endpoint(
        "POST",
        "/api/auth/clients/revoke",
        revoke_client,
        "client_session_revoke_failed",
        body=messages.ClientSessionReference,
        action=Action.END_SESSIONS,
    ),
    Endpoint(
        "POST",
        "/api/auth/clients/revoke-others",
        revoke_other_clients,
        "client_session_revoke_failed",
        action=Action.END_SESSIONS,
    ),
    Endpoint(
        "POST",
        "/api/auth/connect-security-mode",
        set_security_mode,
        "connect_security_mode_update_failed",
        body=messages.SecurityModeBody,
        action=Action.REQUIRE_APPROVAL,
    ),
)

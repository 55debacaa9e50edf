"""Sign-in tokens, actor tokens, and the token of end-to-end tests."""

from __future__ import annotations

import secrets

import msgspec

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire import tickets as wire
from doorward.identity.backend_api.wire.shapes import NoBody, NoQuery
from doorward.identity.errors import Refused, missing
from doorward.identity.tickets.store import Ticket

_TESTING_TOKEN_SECONDS = 3600


async def create_sign_in_token(call: Call[NoQuery, wire.CreateSignInToken]) -> wire.SignInToken:
    """A single-use token that signs its user in, and into the organization `org_id`."""
    made = await call.identity.tickets.make(
        "sign_in",
        call.body.user_id,
        lifetime_ms=(call.body.expires_in_seconds or wire.SIGN_IN_SECONDS) * 1000,
        organization_id=call.body.org_id,
        actor=call.caller.id,
    )
    return _sign_in_token(made.ticket, made.token, _url(call, made.token))


async def revoke_sign_in_token(call: Call[NoQuery, NoBody]) -> wire.SignInToken:
    """Make a pending sign-in token worthless."""
    ticket = await call.identity.tickets.revoke(
        "sign_in", call.path["sign_in_token_id"], actor=call.caller.id
    )
    return _sign_in_token(ticket, None, None)


async def create_actor_token(call: Call[NoQuery, wire.CreateActorToken]) -> wire.ActorToken:
    """A single-use token that lets somebody act as a user, in a short session that says so."""
    sub = call.body.actor.get("sub")
    if not isinstance(sub, str) or not sub:
        raise Refused(missing("actor.sub"))
    made = await call.identity.tickets.make(
        "actor",
        call.body.user_id,
        lifetime_ms=call.body.expires_in_seconds * 1000,
        acting=call.body.actor,
        session_lifetime_ms=call.body.session_max_duration_in_seconds * 1000,
        actor=call.caller.id,
    )
    return _actor_token(made.ticket, made.token, _url(call, made.token))


async def revoke_actor_token(call: Call[NoQuery, NoBody]) -> wire.ActorToken:
    """Make a pending actor token worthless."""
    ticket = await call.identity.tickets.revoke("actor", call.path["actor_token_id"], actor=call.caller.id)
    return _actor_token(ticket, None, None)


async def create_testing_token(call: Call[NoQuery, NoBody]) -> wire.TestingToken:
    """A token end-to-end tests send along; nothing here looks for bots, so nothing has to be skipped."""
    expires_at = call.now // 1000 + _TESTING_TOKEN_SECONDS
    return wire.TestingToken(f"{call.now // 1000}-c_{secrets.token_urlsafe(24)}", expires_at)


def _sign_in_token(ticket: Ticket, token: str | None, url: str | None) -> wire.SignInToken:
    return wire.SignInToken(
        id=ticket.id,
        status=_status(ticket),
        user_id=ticket.user_id,
        token=token,
        url=url,
        created_at=ticket.created_at,
        updated_at=ticket.updated_at,
    )


def _actor_token(ticket: Ticket, token: str | None, url: str | None) -> wire.ActorToken:
    return wire.ActorToken(
        id=ticket.id,
        status=_status(ticket),
        user_id=ticket.user_id,
        actor=msgspec.Raw((ticket.actor or "{}").encode()),
        token=token,
        url=url,
        created_at=ticket.created_at,
        updated_at=ticket.updated_at,
    )


def _status(ticket: Ticket) -> wire.TicketStatus:
    if ticket.revoked_at is not None:
        return "revoked"
    return "pending" if ticket.accepted_at is None else "accepted"


def _url(
    call: Call[NoQuery, wire.CreateSignInToken] | Call[NoQuery, wire.CreateActorToken], token: str
) -> str:
    return f"{call.identity.settings.origin}/sign-in?__clerk_ticket={token}"


OPERATIONS = (
    operation(
        "POST", "/sign_in_tokens", create_sign_in_token, body=wire.CreateSignInToken, answer=wire.SignInToken
    ),
    operation(
        "POST", "/sign_in_tokens/{sign_in_token_id}/revoke", revoke_sign_in_token, answer=wire.SignInToken
    ),
    operation(
        "POST", "/actor_tokens", create_actor_token, body=wire.CreateActorToken, answer=wire.ActorToken
    ),
    operation("POST", "/actor_tokens/{actor_token_id}/revoke", revoke_actor_token, answer=wire.ActorToken),
    operation("POST", "/testing_tokens", create_testing_token, answer=wire.TestingToken),
)

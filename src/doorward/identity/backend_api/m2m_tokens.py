"""`/m2m_tokens`, with and without version: machines make tokens, machines and the instance verify them."""

from __future__ import annotations

from typing import Any

from doorward.identity.backend_api.operations import EITHER, MACHINE, Call, operation
from doorward.identity.backend_api.wire import m2m_tokens as wire
from doorward.identity.backend_api.wire.shapes import NoBody, NoQuery
from doorward.identity.errors import BAD_REQUEST, Refused
from doorward.identity.m2m_tokens import TokenWish
from doorward.identity.resources.for_back_ends import m2m_tokens as resources

_JWT = "jwt"


async def create_m2m_token(call: Call[NoQuery, wire.CreateM2MToken]) -> resources.MadeM2MToken:
    """Make a token of the machine that asks."""
    body = call.body
    wish = TokenWish(
        is_jwt=body.token_format == _JWT,
        lifetime=body.seconds_until_expiration,
        claims=body.claims,
        min_remaining=body.min_remaining_ttl_seconds,
    )
    made = await call.identity.m2m_tokens.create(call.caller.id, wish)
    return resources.MadeM2MToken(**resources.members(made.token, call.now), token=made.value)


async def list_m2m_tokens(call: Call[wire.ListM2MTokens, NoBody]) -> resources.ListedM2MTokens:
    """Opaque tokens of a machine, newest first; a machine may list its own."""
    query = call.query
    tokens, total = await call.identity.m2m_tokens.page(
        query.subject,
        _machine_of(call),
        with_revoked=query.revoked,
        with_expired=query.expired,
        limit=query.limit,
        offset=query.offset,
    )
    return resources.ListedM2MTokens([resources.m2m_token(token, call.now) for token in tokens], total)


async def revoke_m2m_token(call: Call[NoQuery, wire.RevokeM2MToken]) -> resources.M2MToken:
    """Revoke a token; a machine may revoke its own."""
    token = await call.identity.m2m_tokens.revoke(
        call.path["m2m_token_id"],
        _machine_of(call),
        reason=call.body.revocation_reason,
        actor=call.caller.id,
    )
    return resources.m2m_token(token, call.now)


async def verify_m2m_token(call: Call[NoQuery, wire.VerifyM2MToken]) -> resources.M2MToken:
    """The token, if it lives and is meant for the machine that asks."""
    value = call.body.token or call.body.secret
    if not value:
        raise Refused(BAD_REQUEST.at(long_message="Invalid 'body.token': it is missing."))
    token = await call.identity.m2m_tokens.verify(value, _machine_of(call))
    return resources.m2m_token(token, call.now)


def _machine_of(call: Call[Any, Any]) -> str | None:
    """The machine that asks; None for the holder of the instance's key."""
    return call.caller.id if call.caller.kind == "machine" else None


OPERATIONS = (
    operation(
        "POST",
        "/m2m_tokens",
        create_m2m_token,
        body=wire.CreateM2MToken,
        answer=resources.MadeM2MToken,
        status=201,
        callers=MACHINE,
        is_versionless=True,
    ),
    operation(
        "GET",
        "/m2m_tokens",
        list_m2m_tokens,
        query=wire.ListM2MTokens,
        answer=resources.ListedM2MTokens,
        callers=EITHER,
        is_versionless=True,
    ),
    operation(
        "POST",
        "/m2m_tokens/{m2m_token_id}/revoke",
        revoke_m2m_token,
        body=wire.RevokeM2MToken,
        answer=resources.M2MToken,
        callers=EITHER,
        is_versionless=True,
    ),
    operation(
        "POST",
        "/m2m_tokens/verify",
        verify_m2m_token,
        body=wire.VerifyM2MToken,
        answer=resources.M2MToken,
        callers=EITHER,
        is_versionless=True,
    ),
)

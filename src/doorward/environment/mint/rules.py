"""Whether a relay's signed request is one this machine accepts (connect-environment §2.9, §4.7). Pure."""

from typing import TypeVar

from doorward.environment.link.service import LinkedRelay
from doorward.jose import JoseError
from doorward.t3_connect import environment_issuer, normalize_issuer, verify_t3_jwt
from doorward.t3_connect.claims import (
    TYP_HEALTH_REQUEST,
    TYP_MINT_REQUEST,
    HealthRequestClaims,
    MintRequestClaims,
)
from doorward.t3_connect.scopes import ENVIRONMENT_CONNECT, ENVIRONMENT_STATUS

MAX_LIFETIME_SECONDS = 300
MAX_AHEAD_SECONDS = 60

C = TypeVar("C", HealthRequestClaims, MintRequestClaims)


class RequestRefused(Exception):
    """Not a request of the linked relay about the linked account and this machine, or not a fresh one."""

    code = "relay_request_refused"


def read_health_request(
    proof: str, relay: LinkedRelay, *, environment_id: str, now: int
) -> HealthRequestClaims:
    """`now` in seconds. Raises RequestRefused."""
    claims = _verified(
        proof, relay, HealthRequestClaims, typ=TYP_HEALTH_REQUEST, environment_id=environment_id, now=now
    )
    if claims.scope != (ENVIRONMENT_STATUS,):
        raise RequestRefused("the scope is not exactly environment:status")
    return claims


def read_mint_request(proof: str, relay: LinkedRelay, *, environment_id: str, now: int) -> MintRequestClaims:
    """`now` in seconds. Raises RequestRefused."""
    claims = _verified(
        proof, relay, MintRequestClaims, typ=TYP_MINT_REQUEST, environment_id=environment_id, now=now
    )
    if claims.scope != (ENVIRONMENT_CONNECT,):
        raise RequestRefused("the scope is not exactly environment:connect")
    if claims.cnf.jkt != claims.client_proof_key_thumbprint:
        raise RequestRefused("the request names two keys")
    return claims


def _verified(
    proof: str, relay: LinkedRelay, shape: type[C], *, typ: str, environment_id: str, now: int
) -> C:
    try:
        claims = verify_t3_jwt(
            proof,
            relay.mint_key,
            claims=shape,
            typ=typ,
            issuer=normalize_issuer(relay.issuer),
            audience=environment_issuer(environment_id),
            now=now,
        )
    except (JoseError, ValueError) as error:
        raise RequestRefused("the signature, type, issuer, audience or time is not right") from error
    if claims.environment_id != environment_id or claims.sub != relay.user_id:
        raise RequestRefused("the request is about another machine or another account")
    if not claims.iat < claims.exp <= claims.iat + MAX_LIFETIME_SECONDS:
        raise RequestRefused("the request lives longer than five minutes")
    if claims.iat > now + MAX_AHEAD_SECONDS:
        raise RequestRefused("the request comes from the future")
    return claims

"""Whether an environment's answer says what its signature says. Pure; times in milliseconds.

The body travels through tunnels and proxies; only the proof inside it is the environment's word. Whatever the relay
passes on must therefore be equal in both, and bound to the nonce of this very request.
"""

import msgspec

from doorward.jose import JoseError, PublicKey, canonical_json
from doorward.relay.connect.errors import EndpointUnavailable
from doorward.relay.connect.requests import SignedRequest
from doorward.relay.connect.target import Target
from doorward.t3_connect import (
    SchemaMismatch,
    claims,
    environment_issuer,
    parse_iso,
    public_key_from_pem,
    verify_t3_jwt,
)
from doorward.t3_connect.messages import HealthResponse, MintAuthorized, MintPending

CHECKED_AT_TOLERANCE_MS = 60_000


def verify_mint_answer(
    answer: MintAuthorized | MintPending,
    *,
    target: Target,
    request: SignedRequest,
    thumbprint: str,
    issuer: str,
    requested_at: int,
) -> None:
    """Raises `EndpointUnavailable` unless the proof is this environment's and agrees with the body."""
    key = _environment_key(target)
    try:
        proof = claims.mint_response_claims(
            verify_t3_jwt(
                answer.proof,
                key,
                claims=dict,
                typ=claims.TYP_MINT_RESPONSE,
                issuer=environment_issuer(target.environment_id),
                audience=issuer,
                now=requested_at // 1000,
            )
        )
    except (JoseError, SchemaMismatch) as error:
        raise EndpointUnavailable("endpoint_response_invalid") from error
    agrees = (
        proof.environment_id == target.environment_id
        and proof.request_nonce == request.nonce
        and proof.client_proof_key_thumbprint == thumbprint
        and _same_outcome(answer, proof)
    )
    if not agrees:
        raise EndpointUnavailable("endpoint_response_invalid")


def _same_outcome(
    answer: MintAuthorized | MintPending, proof: claims.MintAuthorizedClaims | claims.MintPendingClaims
) -> bool:
    """A credential goes with a proof of that credential, "not approved" with a proof of exactly that."""
    if isinstance(answer, MintPending):
        return (
            isinstance(proof, claims.MintPendingClaims)
            and proof.status == answer.status
            and proof.approval_status == answer.approval_status
            and proof.client_proof_key_thumbprint == answer.client_proof_key_thumbprint
            and proof.requested_at == answer.requested_at
        )
    return (
        isinstance(proof, claims.MintAuthorizedClaims)
        and proof.credential == answer.credential
        and _epoch_seconds(answer.expires_at) == proof.exp
    )


def verify_health_answer(
    answer: HealthResponse,
    *,
    target: Target,
    request: SignedRequest,
    issuer: str,
    requested_at: int,
    now: int,
) -> None:
    """Raises `EndpointUnavailable` unless the proof is this environment's, fresh, and agrees with the body."""
    key = _environment_key(target)
    try:
        proof = verify_t3_jwt(
            answer.proof,
            key,
            claims=claims.HealthResponseClaims,
            typ=claims.TYP_HEALTH_RESPONSE,
            issuer=environment_issuer(target.environment_id),
            audience=issuer,
            now=now // 1000,
        )
    except JoseError as error:
        raise EndpointUnavailable("endpoint_response_invalid") from error
    checked_at = _milliseconds(answer.checked_at)
    agrees = (
        answer.environment_id == target.environment_id
        and proof.environment_id == target.environment_id
        and proof.request_nonce == request.nonce
        and proof.status == answer.status
        and proof.checked_at == answer.checked_at
        and canonical_json(msgspec.to_builtins(proof.descriptor))
        == canonical_json(msgspec.to_builtins(answer.descriptor))
        and checked_at is not None
        and requested_at - CHECKED_AT_TOLERANCE_MS <= checked_at <= now + CHECKED_AT_TOLERANCE_MS
    )
    if not agrees:
        raise EndpointUnavailable("endpoint_response_invalid")


def _environment_key(target: Target) -> PublicKey:
    """The key of this account's link and no other; one that cannot be read makes every answer invalid."""
    try:
        return public_key_from_pem(target.environment_public_key)
    except JoseError as error:
        raise EndpointUnavailable("endpoint_response_invalid") from error


def _milliseconds(text: str) -> int | None:
    try:
        return parse_iso(text)
    except ValueError:
        return None


def _epoch_seconds(text: str) -> int | None:
    milliseconds = _milliseconds(text)
    return None if milliseconds is None else milliseconds // 1000

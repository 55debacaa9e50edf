"""Whether a publication is the environment's own, and new. Pure but for the caller's replay store; `now` in ms."""

import hashlib

import msgspec

from doorward.jose import JoseError, b64url_encode, canonical_json, peek_claims
from doorward.relay.credentials.store import CredentialOwner
from doorward.relay.links.rules import MAX_JTI_LENGTH
from doorward.t3_connect import claims, environment_issuer, verify_t3_jwt
from doorward.t3_connect.messages import ActivityState


class ActivityProofExpired(Exception):
    """The proof is past its `exp`; a fresh one will do."""


class ActivityProofInvalid(Exception):
    """The proof is not this environment's, or not for this state, or was used before."""


class UsedProof(msgspec.Struct, frozen=True):
    """Whose proof it is, and its id, for the replay store."""

    owner: str
    jti: str
    iat: int
    exp: int


def verify_activity_proof(
    token: str,
    *,
    owner: CredentialOwner,
    thread_id: str,
    state: ActivityState | None,
    issuer: str,
    now: int,
) -> UsedProof:
    """Raises ActivityProofExpired or ActivityProofInvalid. The environment is the credential's, by the key of its link."""
    try:
        unverified = peek_claims(token, dict)
    except JoseError as error:
        raise ActivityProofInvalid from error
    exp = unverified.get("exp")
    if isinstance(exp, (int, float)) and not isinstance(exp, bool) and exp * 1000 <= now:
        raise ActivityProofExpired
    try:
        proof = verify_t3_jwt(
            token,
            owner.environment_public_key,
            claims=claims.ActivityClaims,
            typ=claims.TYP_ACTIVITY,
            issuer=environment_issuer(owner.environment_id),
            audience=issuer,
            now=now // 1000,
        )
    except JoseError as error:
        raise ActivityProofInvalid from error
    is_about_this = (
        proof.environment_id == proof.sub == owner.environment_id
        and proof.thread_id == thread_id
        and canonical_json(msgspec.to_builtins(proof.state)) == canonical_json(msgspec.to_builtins(state))
    )
    if not is_about_this or (state is not None and not _is_of(state, owner.environment_id, thread_id)):
        raise ActivityProofInvalid
    if len(proof.jti) > MAX_JTI_LENGTH or "\x00" in proof.jti:
        raise ActivityProofInvalid  # it could not be remembered
    return UsedProof(proof_owner(owner), proof.jti, proof.iat, proof.exp)


def _is_of(state: ActivityState, environment_id: str, thread_id: str) -> bool:
    return state.environment_id == environment_id and state.thread_id == thread_id


def proof_owner(owner: CredentialOwner) -> str:
    """Whose proofs these are, to the replay store."""
    identity = {
        "environmentId": owner.environment_id,
        "environmentPublicKey": owner.environment_public_key,
    }
    return "env-publish:" + b64url_encode(hashlib.sha256(canonical_json(identity)).digest())

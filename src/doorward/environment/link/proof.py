"""The signed statement by which a machine asks to be linked. Pure but for the id it draws."""

import uuid

from doorward.jose import PrivateKey
from doorward.t3_connect import environment_issuer, normalize_issuer, public_key_to_pem, sign_t3_jwt
from doorward.t3_connect.claims import TYP_LINK_PROOF, LinkProofClaims
from doorward.t3_connect.messages import Descriptor, Endpoint, Origin

LIFETIME_SECONDS = 300


def sign_link_proof(
    key: PrivateKey,
    *,
    challenge: str,
    relay_issuer: str,
    descriptor: Descriptor,
    endpoint: Endpoint,
    origin: Origin,
    now: int,
) -> str:
    """A `t3-env-link+jwt` for five minutes; `now` in ms."""
    issued_at = now // 1000
    claims = LinkProofClaims(
        iss=environment_issuer(descriptor.environment_id),
        aud=normalize_issuer(relay_issuer),
        sub=descriptor.environment_id,
        jti=str(uuid.uuid4()),
        iat=issued_at,
        exp=issued_at + LIFETIME_SECONDS,
        challenge=challenge,
        descriptor=descriptor,
        environment_id=descriptor.environment_id,
        environment_public_key=public_key_to_pem(key.public),
        endpoint=endpoint,
        origin=origin,
        scopes=("agent_activity_notifications", "managed_tunnels"),
    )
    return sign_t3_jwt(claims, key, typ=TYP_LINK_PROOF)

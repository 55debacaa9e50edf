"""The relay's signed requests to an environment. Pure but for random ids; `now` in milliseconds."""

import uuid

import msgspec

from doorward.relay.connect.target import Target
from doorward.relay.tokens.rules import TokenSigner
from doorward.t3_connect import claims, environment_issuer, unset_if_none
from doorward.t3_connect.messages import ClientMeta

LIFETIME_MS = 120_000


class SignedRequest(msgspec.Struct, frozen=True):
    """`nonce` is what the answer must repeat. A request is never sent twice: the environment takes it once."""

    proof: str
    nonce: str


def sign_mint_request(
    signer: TokenSigner,
    target: Target,
    *,
    thumbprint: str,
    device_id: str | None,
    client: ClientMeta | None,
    now: int,
) -> SignedRequest:
    nonce = str(uuid.uuid4())
    payload = claims.MintRequestClaims(
        iss=signer.issuer,
        aud=environment_issuer(target.environment_id),
        sub=target.user_id,
        jti=str(uuid.uuid4()),
        iat=now // 1000,
        exp=(now + LIFETIME_MS) // 1000,
        environment_id=target.environment_id,
        client_proof_key_thumbprint=thumbprint,
        cnf=claims.Confirmation(jkt=thumbprint),
        device_id=unset_if_none(device_id),
        client=unset_if_none(client),
        nonce=nonce,
        scope=("environment:connect",),
    )
    return SignedRequest(signer.sign(payload, claims.TYP_MINT_REQUEST), nonce)


def sign_health_request(signer: TokenSigner, target: Target, *, now: int) -> SignedRequest:
    nonce = str(uuid.uuid4())
    payload = claims.HealthRequestClaims(
        iss=signer.issuer,
        aud=environment_issuer(target.environment_id),
        sub=target.user_id,
        jti=str(uuid.uuid4()),
        iat=now // 1000,
        exp=(now + LIFETIME_MS) // 1000,
        environment_id=target.environment_id,
        nonce=nonce,
        scope=("environment:status",),
    )
    return SignedRequest(signer.sign(payload, claims.TYP_HEALTH_REQUEST), nonce)

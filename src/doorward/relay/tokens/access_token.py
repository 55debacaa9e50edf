"""The relay's own access token: bound to a DPoP key, good for half an hour. Pure; times in seconds."""

import uuid
from typing import Literal

import msgspec

from doorward.jose import JoseError
from doorward.relay.tokens.rules import InvalidToken, TokenSigner
from doorward.t3_connect import InvalidScope, claims, known, unset_if_none, verify_t3_jwt
from doorward.t3_connect.scopes import relay_scopes
from doorward.t3_connect.tokens import RELAY_ACCESS_MAX_AGE_SECONDS

LIFETIME_S = 1800

ClientId = Literal["t3-mobile", "t3-web", "doorward-cli", "doorward-gate"]


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified token grants. With `environment_id` it is good for that environment only."""

    user_id: str
    client_id: ClientId
    scopes: tuple[str, ...]
    thumbprint: str
    environment_id: str | None = None

    def is_for(self, environment_id: str) -> bool:
        return self.environment_id is None or self.environment_id == environment_id


def issue_access_token(signer: TokenSigner, grant: AccessToken, *, now: int) -> str:
    payload = claims.RelayAccessClaims(
        iss=signer.issuer,
        aud=signer.issuer,
        sub=grant.user_id,
        jti=str(uuid.uuid4()),
        iat=now,
        exp=now + LIFETIME_S,
        client_id=grant.client_id,
        scope=" ".join(grant.scopes),
        cnf=claims.Confirmation(jkt=grant.thumbprint),
        environment_id=unset_if_none(grant.environment_id),
    )
    return signer.sign(payload, claims.TYP_RELAY_ACCESS)


def verify_access_token(signer: TokenSigner, token: str, *, now: int) -> AccessToken:
    """Raises `InvalidToken`.

    The scopes are held against the policy again: a token signed under a laxer one, or by mistake, grants nothing.
    """
    try:
        payload = verify_t3_jwt(
            token,
            signer.public_key,
            claims=claims.RelayAccessClaims,
            typ=claims.TYP_RELAY_ACCESS,
            issuer=signer.issuer,
            audience=signer.issuer,
            now=now,
            max_age=RELAY_ACCESS_MAX_AGE_SECONDS,
        )
        granted = relay_scopes(payload.scope, payload.client_id)
    except JoseError as error:
        raise InvalidToken(error.code) from error
    except InvalidScope as error:
        raise InvalidToken("scope_not_allowed") from error
    return AccessToken(
        user_id=payload.sub,
        client_id=payload.client_id,
        scopes=granted,
        thumbprint=payload.cnf.jkt,
        environment_id=known(payload.environment_id),
    )

"""The link challenge: the relay's word that this account, now, wants to link some machine."""

import uuid

import msgspec

from doorward.jose import JoseError
from doorward.relay.links.store import Capabilities
from doorward.relay.tokens.rules import InvalidToken, TokenSigner
from doorward.t3_connect import claims, known, unset_if_none, verify_t3_jwt
from doorward.t3_connect.messages import ManagedProvider

CHALLENGE_LIFETIME_MS = 300_000


class IssuedChallenge(msgspec.Struct, frozen=True):
    """`expires_at` in milliseconds; `provider` when the relay chose another than the one of every host."""

    token: str
    expires_at: int
    provider: ManagedProvider | None = None


def issue_link_challenge(
    signer: TokenSigner,
    *,
    user_id: str,
    capabilities: Capabilities,
    now: int,
    provider: ManagedProvider | None = None,
) -> IssuedChallenge:
    """A five-minute challenge; nothing is stored until a proof over it is presented. `now` in milliseconds."""
    expires_at = now + CHALLENGE_LIFETIME_MS
    payload = claims.LinkChallengeClaims(
        kind="environment_link_challenge",
        iss=signer.issuer,
        aud=signer.issuer,
        sub=user_id,
        jti=str(uuid.uuid4()),
        iat=now // 1000,
        exp=expires_at // 1000,
        notifications_enabled=capabilities.notifications_enabled,
        live_activities_enabled=capabilities.live_activities_enabled,
        managed_tunnels_enabled=capabilities.managed_tunnels_enabled,
        managed_endpoint_provider=unset_if_none(provider),
    )
    return IssuedChallenge(signer.sign(payload, claims.TYP_LINK_CHALLENGE), expires_at, provider)


def verify_link_challenge(
    token: str,
    *,
    user_id: str,
    wanted: Capabilities,
    signer: TokenSigner,
    now: int,
    provider: ManagedProvider | None = None,
) -> claims.LinkChallengeClaims:
    """The challenge, if it is this account's, allows at least what is wanted, and chose `provider` if it chose any.

    Raises `InvalidToken`.
    """
    try:
        challenge = verify_t3_jwt(
            token,
            signer.public_key,
            claims=claims.LinkChallengeClaims,
            typ=claims.TYP_LINK_CHALLENGE,
            issuer=signer.issuer,
            audience=signer.issuer,
            now=now,
        )
    except JoseError as error:
        raise InvalidToken(error.code) from error
    if challenge.sub != user_id:
        raise InvalidToken("another_account")
    exceeds = (
        (wanted.notifications_enabled and not challenge.notifications_enabled)
        or (wanted.live_activities_enabled and not challenge.live_activities_enabled)
        or (wanted.managed_tunnels_enabled and not challenge.managed_tunnels_enabled)
    )
    if exceeds:
        raise InvalidToken("exceeds_challenge")
    chosen = known(challenge.managed_endpoint_provider)
    if chosen is not None and chosen != provider:
        raise InvalidToken("another_provider")
    return challenge

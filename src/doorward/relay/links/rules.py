"""Whether a link proof, together with the challenge inside it, makes a link. Pure; times in milliseconds.

The order of the checks is the protocol's: peers and tests rely on which reason wins.
"""

from collections.abc import Collection

import msgspec

from doorward.jose import JoseError, peek_claims
from doorward.relay.endpoints.rules import is_loopback_origin
from doorward.relay.links.challenge import verify_link_challenge
from doorward.relay.links.errors import LinkProofExpired, LinkProofInvalid
from doorward.relay.links.store import Capabilities
from doorward.relay.settings import RelaySettings
from doorward.relay.tokens.rules import InvalidToken, TokenSigner
from doorward.t3_connect import claims, environment_issuer, is_secure_endpoint, known, verify_t3_jwt
from doorward.t3_connect.messages import ManagedProvider

MAX_ID_LENGTH = 191
MAX_JTI_LENGTH = 255
"""The original's column widths: longer ids fit no index of every engine."""

MAX_DATE_MS = 8_640_000_000_000_000
"""The last moment an ECMAScript date can hold; a proof that expires later is malformed to every peer."""

SCOPE_TUNNELS = "managed_tunnels"
SCOPE_ACTIVITY = "agent_activity_notifications"


class VerifiedLinkProof(msgspec.Struct, frozen=True):
    """An environment's word and the challenge it answers. Their ids are not yet consumed."""

    proof: claims.LinkProofClaims
    challenge: claims.LinkChallengeClaims

    @property
    def provider(self) -> ManagedProvider:
        return known(self.challenge.managed_endpoint_provider) or "cloudflare_tunnel"


def chosen_provider(
    wanted: Capabilities, supported: Collection[str], settings: RelaySettings
) -> ManagedProvider | None:
    """Another connector than the one of every host: only where the operator gives it and the host runs it."""
    is_given = settings.t3_relay and settings.endpoint_scheme == "https"
    return "t3_relay" if is_given and wanted.managed_tunnels_enabled and "t3_relay" in supported else None


def verify_link_proof(
    token: str,
    *,
    user_id: str,
    wanted: Capabilities,
    signer: TokenSigner,
    now: int,
    provider: ManagedProvider | None = None,
) -> VerifiedLinkProof:
    """Raises `LinkProofExpired` or `LinkProofInvalid`.

    The key inside the payload verifies the payload: the proof shows possession, and trust in that key begins with
    this link, which the account asked for by its challenge.
    """
    try:
        unverified = peek_claims(token, claims.LinkProofClaims)
    except JoseError as error:
        raise LinkProofInvalid("invalid_signature_or_scope") from error
    if unverified.exp * 1000 <= now:
        raise LinkProofExpired
    try:
        proof = verify_t3_jwt(
            token,
            unverified.environment_public_key,
            claims=claims.LinkProofClaims,
            typ=claims.TYP_LINK_PROOF,
            issuer=environment_issuer(unverified.environment_id),
            audience=signer.issuer,
            now=now // 1000,
        )
    except JoseError as error:
        raise LinkProofInvalid("invalid_signature_or_scope") from error
    if not (_is_storable(proof) and _covers(proof, wanted)):
        raise LinkProofInvalid("invalid_signature_or_scope")
    if proof.descriptor.environment_id != proof.environment_id:
        raise LinkProofInvalid("descriptor_mismatch")
    try:
        challenge = verify_link_challenge(
            proof.challenge,
            user_id=user_id,
            wanted=wanted,
            signer=signer,
            now=now // 1000,
            provider=provider,
        )
    except InvalidToken as error:
        raise LinkProofInvalid("challenge_invalid") from error
    if (
        wanted.managed_tunnels_enabled
        and known(challenge.managed_endpoint_provider) == "t3_relay"
        and proof.endpoint.provider_kind != "t3_relay"
    ):
        # The environment itself has to agree to run that connector.
        raise LinkProofInvalid("invalid_signature_or_scope")
    if proof.exp * 1000 > MAX_DATE_MS:
        raise LinkProofInvalid("invalid_signature_or_scope")
    return VerifiedLinkProof(proof, challenge)


def _is_storable(proof: claims.LinkProofClaims) -> bool:
    """Whether every engine can keep what the proof says: bounded ids, and no NUL, which PostgreSQL has no place for."""
    kept = (
        proof.environment_id,
        proof.jti,
        proof.descriptor.label,
        proof.endpoint.http_base_url,
        proof.endpoint.ws_base_url,
    )
    return (
        len(proof.environment_id) <= MAX_ID_LENGTH
        and len(proof.jti) <= MAX_JTI_LENGTH
        and not any("\x00" in text for text in kept)
    )


def _covers(proof: claims.LinkProofClaims, wanted: Capabilities) -> bool:
    """Whether the environment itself agreed to everything the account asks for."""
    activity = wanted.notifications_enabled or wanted.live_activities_enabled
    return (
        proof.sub == proof.environment_id
        and (not wanted.managed_tunnels_enabled or SCOPE_TUNNELS in proof.scopes)
        and (not activity or SCOPE_ACTIVITY in proof.scopes)
    )


def check_local_origin(host: str, port: int) -> None:
    if not is_loopback_origin(host, port):
        raise LinkProofInvalid("origin_not_allowed")


def check_endpoint_is_secure(http_base_url: str, ws_base_url: str) -> None:
    """https and wss, or their plain forms for names that never leave this machine."""
    if not is_secure_endpoint(http_base_url, ws_base_url):
        raise LinkProofInvalid("endpoint_not_secure")

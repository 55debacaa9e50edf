"""Whether an environment's word about its tunnel holds. Pure; `now` in seconds.

No replay store: both actions may be done twice without harm, and the caller also holds the environment's credential.
"""

import msgspec

from doorward.jose import JoseError
from doorward.relay.credentials.store import CredentialOwner
from doorward.relay.links.store import LinkRow
from doorward.t3_connect import claims, environment_issuer, known, verify_t3_jwt
from doorward.t3_connect.messages import Origin


class RecoveryRefused(Exception):
    """The credential, the proof or the link does not allow it. Which one is not told."""


class EndpointMismatch(RecoveryRefused):
    """The endpoint that can be made now is not the one the link's clients know."""


class RecoveryWish(msgspec.Struct, frozen=True, kw_only=True):
    """What the request's body says. `tunnel_id` is there when the environment tells of the tunnel it runs."""

    environment_id: str
    cloud_user_id: str
    origin: Origin
    proof: str
    tunnel_id: str | None = None


def check_recovery_proof(wish: RecoveryWish, *, owner: CredentialOwner, issuer: str, now: int) -> None:
    """Raises `RecoveryRefused` unless the credential's own key signed exactly this wish."""
    try:
        proof = verify_t3_jwt(
            wish.proof,
            owner.environment_public_key,
            claims=claims.TunnelRecoveryClaims,
            typ=claims.TYP_TUNNEL_RECOVERY,
            issuer=environment_issuer(wish.environment_id),
            audience=issuer,
            now=now,
        )
    except JoseError as error:
        raise RecoveryRefused(error.code) from error
    agrees = (
        owner.environment_id == wish.environment_id
        and owner.user_id == wish.cloud_user_id
        and proof.environment_id == wish.environment_id
        and proof.sub == wish.environment_id
        and proof.cloud_user_id == wish.cloud_user_id
        and proof.origin == wish.origin
        and proof.action == ("recover" if wish.tunnel_id is None else "register")
        and (wish.tunnel_id is None or known(proof.tunnel_id) == wish.tunnel_id)
    )
    if not agrees:
        raise RecoveryRefused("proof_mismatch")


def check_recoverable(link: LinkRow | None, owner: CredentialOwner) -> LinkRow:
    """The link, if it is one with a tunnel and still of this key. Raises `RecoveryRefused`."""
    if link is None or link.environment_public_key != owner.environment_public_key:
        raise RecoveryRefused("not_linked")
    if link.provider_kind != "cloudflare_tunnel":
        raise RecoveryRefused("endpoint_provider_not_managed")
    return link

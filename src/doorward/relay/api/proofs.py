"""The DPoP proof of one request: checked once everything else about it is known to be right, and used up."""

from doorward.relay.api.guards import DpopPrincipal
from doorward.relay.api.refusals import invalid_dpop
from doorward.relay.http.routing import Arrival
from doorward.relay.limits.service import Bucket, Limits
from doorward.relay.replay.service import DpopProofs
from doorward.store import Row, Statement


class RequestProofs:
    def __init__(self, proofs: DpopProofs, limits: Limits) -> None:
        self._proofs = proofs
        self._limits = limits

    async def consume(
        self, arrival: Arrival, principal: DpopPrincipal, bucket: Bucket, *beside: Statement
    ) -> list[list[Row]]:
        """Count the request against the account, then use the proof up; the rows of `beside`, asked in the same trip.

        Raises ProofRefused, TooManyRequests.
        """
        used_up = await self._proofs.consume(
            arrival.headers.get("dpop"),
            counting=self._limits.counting(principal.token.user_id, bucket),
            method=arrival.method,
            url=arrival.url,
            access_token=principal.text,
            thumbprint=principal.token.thumbprint,
            beside=beside,
        )
        return used_up.beside


def require_scope(principal: DpopPrincipal, scope: str, *, environment_id: str | None = None) -> None:
    """The token grants this operation (at this environment), or it is as if it were not the caller's."""
    token = principal.token
    if scope not in token.scopes or not (environment_id is None or token.is_for(environment_id)):
        raise invalid_dpop()

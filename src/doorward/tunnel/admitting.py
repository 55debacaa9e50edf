"""Letting a connector in: the one order of checks for every protocol that a machine's tunnel may speak."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from doorward.tunnel.admission import TunnelGrant, TunnelHello, TunnelRefusal
from doorward.tunnel.allowances import AccountUse
from doorward.tunnel.proof import InvalidProof, check_signature

if TYPE_CHECKING:
    from doorward.tunnel.edge import Edge


class NotAdmitted(Exception):
    """`reason` is a stable word for the machine's owner. A final refusal will not change by itself."""

    def __init__(self, reason: str, message: str, *, is_final: bool = False, spread_ms: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.is_final = is_final
        self.spread_ms = spread_ms


class Admitted(NamedTuple):
    grant: TunnelGrant
    use: AccountUse
    epoch: int


async def checked_grant(edge: Edge, hello: TunnelHello, *, now: float) -> TunnelGrant:
    """What is registered for this connector, whose claims were read already. Raises NotAdmitted.

    Registration before signature, so that a forged proof costs no signature check.
    """
    decision = await edge.authorize(hello)
    if isinstance(decision, TunnelRefusal):
        if decision.reason == "invalid_signature":
            edge.failed_proofs.count(hello.peer_ip, now)
        raise NotAdmitted(decision.reason, decision.message, is_final=decision.is_final)
    if decision.environment_id != hello.environment_id or decision.generation != hello.generation:
        raise NotAdmitted(
            "generation_superseded", "The connector token was replaced by a newer one.", is_final=True
        )
    try:
        check_signature(hello.token, decision.public_key)
    except InvalidProof as refusal:
        edge.failed_proofs.count(hello.peer_ip, now)
        raise NotAdmitted(refusal.code, str(refusal), is_final=True) from refusal
    return decision


async def admit(edge: Edge, hello: TunnelHello, *, now: float) -> Admitted:
    """The connector may open its tunnel, within its account's allowance. Raises NotAdmitted."""
    grant = await checked_grant(edge, hello, now=now)
    use = edge.use_of(grant.account)
    if not use.has_room_for(grant.environment_id):
        raise NotAdmitted(
            "too_many_machines",
            f"Your account may have {use.allowance.machines} machines connected at once. Stop one, then wait a minute.",
            spread_ms=60_000,
        )
    return Admitted(grant, use, await edge.claim(hello))

"""Letting a connector in: the one order of checks for every protocol that a machine's tunnel may speak."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from doorward.tunnel.admission import Authorize, Claim, TunnelGrant, TunnelHello, TunnelRefusal
from doorward.tunnel.allowances import AccountUse, Allowances, FailedProofs
from doorward.tunnel.proof import InvalidProof, check_signature

_SPARE_USES = 100


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


class Admissions:
    """Who may open a tunnel on this node. Times are seconds of the loop's clock."""

    def __init__(self, authorize: Authorize, claim: Claim, allowances: Allowances) -> None:
        self.claim = claim
        self.failed_proofs = FailedProofs(allowances.failed_proofs_per_minute)
        self._authorize = authorize
        self._allowances = allowances
        self._uses: dict[str, AccountUse] = {}
        self._most_uses = _SPARE_USES

    async def checked_grant(self, hello: TunnelHello, *, now: float) -> TunnelGrant:
        """What is registered for this connector, whose claims were read already. Raises NotAdmitted.

        Registration before signature, so that a forged proof costs no signature check.
        """
        decision = await self._authorize(hello)
        if isinstance(decision, TunnelRefusal):
            if decision.reason == "invalid_signature":
                self.failed_proofs.count(hello.peer_ip, now)
            raise NotAdmitted(decision.reason, decision.message, is_final=decision.is_final)
        if decision.environment_id != hello.environment_id or decision.generation != hello.generation:
            raise NotAdmitted(
                "generation_superseded", "The connector token was replaced by a newer one.", is_final=True
            )
        try:
            check_signature(hello.token, decision.public_key)
        except InvalidProof as refusal:
            self.failed_proofs.count(hello.peer_ip, now)
            raise NotAdmitted(refusal.code, str(refusal), is_final=True) from refusal
        return decision

    async def admit(self, hello: TunnelHello, *, now: float) -> Admitted:
        """The connector may open its tunnel, within its account's allowance. Raises NotAdmitted."""
        grant = await self.checked_grant(hello, now=now)
        use = self._use_of(grant.account)
        if not use.has_room_for(grant.environment_id):
            raise NotAdmitted(
                "too_many_machines",
                f"Your account may have {use.allowance.machines} machines connected at once. Stop one, then wait a minute.",
                spread_ms=60_000,
            )
        return Admitted(grant, use, await self.claim(hello))

    def connected(self, grant: TunnelGrant, use: AccountUse) -> None:
        """The tunnel is open: what its account uses is kept from now on."""
        self._uses[grant.account] = use
        use.environments.add(grant.environment_id)

    def _use_of(self, account: str) -> AccountUse:
        """What the account uses of this node; kept while it has a machine connected."""
        use = self._uses.get(account)
        if use is None:
            if len(self._uses) > self._most_uses:
                self._uses = {name: kept for name, kept in self._uses.items() if kept.environments}
                self._most_uses = 2 * len(self._uses) + _SPARE_USES
            now = asyncio.get_running_loop().time()
            use = self._uses[account] = AccountUse(self._allowances.of(account), now)
        return use

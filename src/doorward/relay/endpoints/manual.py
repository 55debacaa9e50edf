"""No managed endpoints: machines are linked with an endpoint they bring themselves."""

from doorward.relay.endpoints.embedded import close_endpoint
from doorward.relay.endpoints.provider import EndpointsNotConfigured, Prepared, ProvisionRequest, Reconciled
from doorward.relay.endpoints.store import AllocationRow
from doorward.store import Tx


class ManualProvider:
    """Makes nothing; closes what was made while the operator had chosen another provider."""

    async def prepare(self, request: ProvisionRequest) -> Prepared:
        raise EndpointsNotConfigured(
            "This relay provisions no endpoints: link with managedTunnelsEnabled false."
        )

    def close(self, tx: Tx, allocation: AllocationRow, *, now: int) -> bool:
        return close_endpoint(tx, allocation, now=now)

    async def tear_down(self, *, user_id: str, environment_id: str) -> None:
        """This relay keeps nothing anywhere."""

    async def release(self, *, user_id: str, environment_id: str) -> bool:
        return True

    async def reconcile(self, request: ProvisionRequest, *, tunnel_id: str) -> Reconciled:
        raise EndpointsNotConfigured("This relay provisions no endpoints.")

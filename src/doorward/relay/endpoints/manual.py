"""No managed endpoints: machines are linked with an endpoint they bring themselves."""

from doorward.relay.endpoints.provider import EndpointsNotConfigured, Prepared, ProvisionRequest


class ManualProvider:
    async def prepare(self, request: ProvisionRequest) -> Prepared:
        raise EndpointsNotConfigured(
            "This relay provisions no endpoints: link with managedTunnelsEnabled false."
        )

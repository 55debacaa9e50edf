"""The names of a request's endpoint, if this relay may make one. Pure."""

from doorward.relay.endpoints.provider import EndpointsNotConfigured, OriginNotLoopback, ProvisionRequest
from doorward.relay.endpoints.rules import (
    EndpointNames,
    endpoint_names,
    is_loopback_origin,
    is_valid_hostname,
    normalize_zone,
)
from doorward.relay.settings import RelaySettings


def names_for(request: ProvisionRequest, settings: RelaySettings) -> EndpointNames:
    """Every provider begins here. Raises `OriginNotLoopback`, `EndpointsNotConfigured`."""
    if not is_loopback_origin(request.local_host, request.local_port):
        raise OriginNotLoopback
    if not normalize_zone(settings.zone):
        raise EndpointsNotConfigured("This relay has no zone for endpoints.")
    names = endpoint_names(
        stage=settings.stage,
        user_id=request.user_id,
        environment_id=request.environment_id,
        zone=settings.zone,
    )
    if not is_valid_hostname(names.hostname, settings.zone):
        raise EndpointsNotConfigured("The relay's zone is not a DNS name.")
    return names

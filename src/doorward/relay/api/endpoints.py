"""A link's endpoint and its connector's secret, on the wire."""

from doorward.relay.endpoints.provider import Provisioned
from doorward.relay.links.store import LinkRow
from doorward.t3_connect.messages import Endpoint, EndpointRuntime


def endpoint_of(link: LinkRow) -> Endpoint:
    return Endpoint(
        http_base_url=link.http_base_url, ws_base_url=link.ws_base_url, provider_kind=link.provider_kind
    )


def runtime_of(provisioned: Provisioned) -> EndpointRuntime:
    """Whatever the provider is, the kind is one that the environment said it can run."""
    return EndpointRuntime(
        provider_kind=provisioned.kind,
        connector_token=provisioned.connector_token,
        tunnel_id=provisioned.tunnel_id,
        tunnel_name=provisioned.tunnel_name,
        connector_url=provisioned.connector_url,
        origin_url=provisioned.origin_url,
    )

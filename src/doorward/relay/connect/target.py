"""Where a request to an environment may be sent, decided from what is stored alone. Pure.

The URL always comes from the allocation, and only when the link row agrees with it: nothing a client sends, and no
single corrupted row, can aim the relay's signed requests elsewhere.
"""

import msgspec

from doorward.relay.connect.errors import NotAuthorized
from doorward.relay.connect.store import StoredTarget
from doorward.relay.endpoints.rules import is_valid_hostname, normalize_zone, urls_of
from doorward.relay.links.store import ProviderKind
from doorward.relay.settings import RelaySettings


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A linked environment that may be asked. `http_base_url` ends with a slash."""

    user_id: str
    environment_id: str
    environment_public_key: str
    http_base_url: str
    ws_base_url: str
    provider_kind: ProviderKind


def target_of(stored: StoredTarget | None, settings: RelaySettings) -> Target:
    """Raises `NotAuthorized` with the first reason that applies."""
    if stored is None:
        raise NotAuthorized("environment_link_not_found")
    if stored.provider_kind == "manual":
        raise NotAuthorized("endpoint_provider_not_managed")
    if stored.hostname is None:
        raise NotAuthorized("managed_endpoint_allocation_not_found")
    if not normalize_zone(settings.zone):
        raise NotAuthorized("managed_endpoint_base_domain_not_configured")
    if not stored.is_ready:
        raise NotAuthorized("managed_endpoint_allocation_not_ready")
    if not is_valid_hostname(stored.hostname, settings.zone):
        raise NotAuthorized("managed_endpoint_hostname_invalid")
    urls = urls_of(stored.hostname, settings)
    if (urls.http, urls.ws) != (stored.http_base_url, stored.ws_base_url):
        raise NotAuthorized("managed_endpoint_mismatch")
    return Target(
        user_id=stored.user_id,
        environment_id=stored.environment_id,
        environment_public_key=stored.environment_public_key,
        http_base_url=urls.http,
        ws_base_url=urls.ws,
        provider_kind=stored.provider_kind,
    )

"""Where a request to an environment may be sent: what to ask the database, and the decision from its rows alone. Pure.

The URL always comes from the allocation, and only when the link row agrees with it: nothing a client sends, and no
single corrupted row, can aim the relay's signed requests elsewhere.
"""

from collections.abc import Sequence

import msgspec

from doorward.relay.connect.errors import NotAuthorized
from doorward.relay.endpoints import store as endpoint_store
from doorward.relay.endpoints.rules import is_valid_hostname, normalize_zone, urls_of
from doorward.relay.endpoints.store import AllocationRow
from doorward.relay.links import store as link_store
from doorward.relay.links.store import LinkRow, ProviderKind
from doorward.relay.settings import RelaySettings
from doorward.store import Row, Statement


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A linked environment that may be asked. `http_base_url` ends with a slash."""

    user_id: str
    environment_id: str
    environment_public_key: str
    http_base_url: str
    ws_base_url: str
    provider_kind: ProviderKind


def asked_for_target(*, user_id: str, environment_id: str) -> tuple[Statement, Statement]:
    """For `target_of`. The two need not be of one moment: a target comes only of a link and an allocation that agree."""
    return (
        link_store.active(user_id=user_id, environment_id=environment_id),
        endpoint_store.reserved(user_id=user_id, environment_id=environment_id),
    )


def target_of(rows: Sequence[Sequence[Row]], settings: RelaySettings) -> Target:
    """Raises `NotAuthorized` with the first reason that applies."""
    links, allocations = rows
    return resolve_target(
        next(iter(link_store.links_of(links)), None),
        next(iter(endpoint_store.allocations_of(allocations)), None),
        settings,
    )


def resolve_target(link: LinkRow | None, allocation: AllocationRow | None, settings: RelaySettings) -> Target:
    """Raises `NotAuthorized` with the first reason that applies."""
    if link is None:
        raise NotAuthorized("environment_link_not_found")
    if link.provider_kind == "manual":
        raise NotAuthorized("endpoint_provider_not_managed")
    if allocation is None:
        raise NotAuthorized("managed_endpoint_allocation_not_found")
    if not normalize_zone(settings.zone):
        raise NotAuthorized("managed_endpoint_base_domain_not_configured")
    if not allocation.is_ready:
        raise NotAuthorized("managed_endpoint_allocation_not_ready")
    if not is_valid_hostname(allocation.hostname, settings.zone):
        raise NotAuthorized("managed_endpoint_hostname_invalid")
    urls = urls_of(allocation.hostname, settings)
    if (urls.http, urls.ws) != (link.http_base_url, link.ws_base_url):
        raise NotAuthorized("managed_endpoint_mismatch")
    return Target(
        user_id=link.user_id,
        environment_id=link.environment_id,
        environment_public_key=link.environment_public_key,
        http_base_url=urls.http,
        ws_base_url=urls.ws,
        provider_kind=link.provider_kind,
    )

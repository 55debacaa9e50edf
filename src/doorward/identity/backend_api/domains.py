"""`/domains…`: the one domain an instance has, which its configuration names. There are no satellites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire.instance import Domain
from doorward.identity.backend_api.wire.shapes import Body, Listed, NoBody, NoQuery
from doorward.identity.errors import (
    FEATURE_NOT_IMPLEMENTED,
    OPERATION_NOT_ALLOWED_ON_PRIMARY_DOMAIN,
    PRIMARY_DOMAIN_ALREADY_EXISTS,
    Refused,
    not_found,
)
from doorward.identity.resources.deleted import Deleted

if TYPE_CHECKING:
    from doorward.identity.services import Identity


class NewDomain(Body, frozen=True, kw_only=True):
    name: str
    is_satellite: bool
    proxy_url: str | None = None


class ChangeDomain(Body, frozen=True, kw_only=True):
    name: str | None = None
    proxy_url: str | None = None
    is_secondary: bool | None = None


async def list_domains(call: Call[NoQuery, NoBody]) -> Listed[Domain]:
    """The instance's domains."""
    return Listed([_primary(call.identity)], 1)


async def add_domain(call: Call[NoQuery, NewDomain]) -> Domain:
    """Refused: there is one primary domain, and no satellites."""
    if not call.body.is_satellite:
        raise Refused(PRIMARY_DOMAIN_ALREADY_EXISTS)
    raise Refused(FEATURE_NOT_IMPLEMENTED.at(long_message="Doorward has no satellite domains."))


async def update_domain(call: Call[NoQuery, ChangeDomain]) -> Domain:
    """Refused unless it changes nothing: the configuration names the domain."""
    domain, body = _known(call.identity, call.path["domain_id"]), call.body
    if body.name not in (None, domain.name) or body.proxy_url or body.is_secondary:
        raise Refused(OPERATION_NOT_ALLOWED_ON_PRIMARY_DOMAIN)
    return domain


async def delete_domain(call: Call[NoQuery, NoBody]) -> Deleted:
    """Refused: the primary domain stays."""
    _known(call.identity, call.path["domain_id"])
    raise Refused(OPERATION_NOT_ALLOWED_ON_PRIMARY_DOMAIN)


def _primary(identity: Identity) -> Domain:
    origin = identity.settings.origin
    return Domain(
        id="dmn_" + identity.instance.id.removeprefix("ins_"),
        name=identity.settings.host,
        is_satellite=False,
        frontend_api_url=origin,
        accounts_portal_url=origin,
        development_origin=origin if identity.settings.development else "",
    )


def _known(identity: Identity, domain_id: str) -> Domain:
    domain = _primary(identity)
    if domain.id != domain_id:
        raise Refused(not_found(f"No domain was found with id {domain_id}"))
    return domain


OPERATIONS = (
    operation("GET", "/domains", list_domains, answer=Listed[Domain]),
    operation("POST", "/domains", add_domain, body=NewDomain, answer=Domain),
    operation("PATCH", "/domains/{domain_id}", update_domain, body=ChangeDomain, answer=Domain),
    operation("DELETE", "/domains/{domain_id}", delete_domain, answer=Deleted),
)

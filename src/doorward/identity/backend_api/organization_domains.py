"""Domains of organizations."""

from __future__ import annotations

from typing import Any, Literal

from msgspec.structs import replace

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.ordering import slice_of
from doorward.identity.backend_api.wire.shapes import Body, Listed, NoBody, NoQuery, Page
from doorward.identity.organizations import domain_store
from doorward.identity.organizations.details import Domain
from doorward.identity.organizations.domain_store import DomainFilter
from doorward.identity.paging import Slice
from doorward.identity.resources import organizations as resources
from doorward.identity.resources.deleted import Deleted
from doorward.identity.resources.organizations import OrganizationDomain

Mode = Literal["manual_invitation", "automatic_invitation", "automatic_suggestion", "enterprise_sso"]
ModeOrNot = Literal[
    "manual_invitation",
    "automatic_invitation",
    "automatic_suggestion",
    "enterprise_sso",
    "-manual_invitation",
    "-automatic_invitation",
    "-automatic_suggestion",
    "-enterprise_sso",
]


class DomainQuery(Page, frozen=True, kw_only=True):
    """A minus before a mode leaves it out."""

    verified: bool | None = None
    enrollment_mode: tuple[ModeOrNot, ...] = ()


class AllDomainsQuery(DomainQuery, frozen=True, kw_only=True):
    organization_id: str | None = None
    query: str | None = None
    domains: tuple[str, ...] = ()
    order_by: str = "-created_at"


class CreateDomain(Body, frozen=True, kw_only=True):
    name: str
    enrollment_mode: Mode = "manual_invitation"
    verified: bool | None = None


class UpdateDomain(Body, frozen=True, kw_only=True):
    enrollment_mode: Mode | None = None
    verified: bool | None = None


async def list_organization_domains(call: Call[DomainQuery, NoBody]) -> Listed[OrganizationDomain]:
    """An organization's domains, newest first."""
    wanted = _wanted(call.query, call.path["organization_id"])
    return await _page(call, wanted, Slice(call.query.limit, call.query.offset))


async def list_all_organization_domains(
    call: Call[AllDomainsQuery, NoBody],
) -> Listed[OrganizationDomain]:
    """The domains of every organization."""
    asked = call.query
    wanted = replace(_wanted(asked, asked.organization_id), names=asked.domains, query=asked.query)
    return await _page(call, wanted, slice_of(asked, domain_store.ORDERS))


async def create_organization_domain(call: Call[NoQuery, CreateDomain]) -> OrganizationDomain:
    """Give an organization a domain, proved or not."""
    made = await call.identity.organization_domains.create(
        call.path["organization_id"],
        call.body.name,
        enrollment_mode=call.body.enrollment_mode,
        is_verified=bool(call.body.verified),
        actor=call.caller.id,
    )
    return _shown(call, made)


async def update_organization_domain(call: Call[NoQuery, UpdateDomain]) -> OrganizationDomain:
    """Change how a domain brings people in, or call it proved or not."""
    return await _change(call, call.body.enrollment_mode, call.body.verified)


async def verify_organization_domain_ownership(call: Call[NoQuery, NoBody]) -> OrganizationDomain:
    """Vouch for a domain, as `verified` does: the holder of the instance's key says that it is the organization's."""
    return await _change(call, None, True)


async def delete_organization_domain(call: Call[NoQuery, NoBody]) -> Deleted:
    """Take a domain away, with what it suggested."""
    domain_id = call.path["domain_id"]
    await call.identity.organization_domains.delete(
        call.path["organization_id"], domain_id, actor=call.caller.id
    )
    return Deleted("organization_domain", domain_id)


async def _change(
    call: Call[Any, Any], enrollment_mode: str | None, is_verified: bool | None
) -> OrganizationDomain:
    changed = await call.identity.organization_domains.update(
        call.path["organization_id"],
        call.path["domain_id"],
        enrollment_mode=enrollment_mode,
        is_verified=is_verified,
        actor=call.caller.id,
    )
    return _shown(call, changed)


async def _page(call: Call[Any, Any], wanted: DomainFilter, part: Slice) -> Listed[OrganizationDomain]:
    found, total = await call.identity.organization_domains.page(wanted, part)
    return Listed([_shown(call, one) for one in found], total)


def _wanted(query: DomainQuery, organization_id: str | None) -> DomainFilter:
    return DomainFilter(
        organization_id=organization_id,
        is_verified=query.verified,
        modes=tuple(mode for mode in query.enrollment_mode if not mode.startswith("-")),
        excluded_modes=tuple(mode[1:] for mode in query.enrollment_mode if mode.startswith("-")),
    )


def _shown(call: Call[Any, Any], domain: Domain) -> OrganizationDomain:
    return resources.domain(domain, call.identity.views.images, call.now)


_DOMAINS = "/organizations/{organization_id}/domains"
_ONE = f"{_DOMAINS}/{{domain_id}}"
OPERATIONS = (
    operation(
        "GET",
        "/organization_domains",
        list_all_organization_domains,
        query=AllDomainsQuery,
        answer=Listed[OrganizationDomain],
    ),
    operation(
        "GET", _DOMAINS, list_organization_domains, query=DomainQuery, answer=Listed[OrganizationDomain]
    ),
    operation("POST", _DOMAINS, create_organization_domain, body=CreateDomain, answer=OrganizationDomain),
    operation("PATCH", _ONE, update_organization_domain, body=UpdateDomain, answer=OrganizationDomain),
    operation("DELETE", _ONE, delete_organization_domain, answer=Deleted),
    operation(
        "POST", f"{_ONE}/verify_ownership", verify_organization_domain_ownership, answer=OrganizationDomain
    ),
)

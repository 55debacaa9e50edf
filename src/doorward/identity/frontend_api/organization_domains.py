"""`/v1/organizations/{id}/domains…` and `…/membership_requests…`: proving a domain, and letting in whom it suggests."""

from __future__ import annotations

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from doorward.identity.frontend_api import wire
from doorward.identity.frontend_api.call import Call
from doorward.identity.frontend_api.dispatch import Endpoints
from doorward.identity.organizations.details import Domain
from doorward.identity.organizations.domain_store import DomainFilter
from doorward.identity.organizations.enrollment import MembershipRequest as Request
from doorward.identity.paging import Slice
from doorward.identity.resources import organizations as resources
from doorward.identity.resources.public_user_data import PublicUserData, public_user_data

_DOMAINS = "/v1/organizations/{organization_id}/domains"
_DOMAIN = f"{_DOMAINS}/{{domain_id}}"
_REQUESTS = "/v1/organizations/{organization_id}/membership_requests"
# A request is a suggestion with other words for where it stands.
_STATUSES = {"accepted": "pending", "completed": "accepted", "rejected": "rejected"}


class MembershipRequest(msgspec.Struct, kw_only=True):
    object: str = "organization_membership_request"
    id: str
    organization_id: str
    status: str
    public_user_data: PublicUserData
    created_at: int
    updated_at: int


def routes(endpoints: Endpoints) -> list[Route]:
    return [
        endpoints.route(_DOMAINS, GET=domains, POST=create),
        endpoints.route(_DOMAIN, GET=read, DELETE=delete),
        endpoints.route(f"{_DOMAIN}/prepare_affiliation_verification", POST=prepare),
        endpoints.route(f"{_DOMAIN}/attempt_affiliation_verification", POST=attempt),
        endpoints.route(f"{_DOMAIN}/update_enrollment_mode", POST=update),
        endpoints.route(_REQUESTS, GET=requests),
        endpoints.route(f"{_REQUESTS}/{{request_id}}/accept", POST=accept),
        endpoints.route(f"{_REQUESTS}/{{request_id}}/reject", POST=reject),
    ]


async def domains(call: Call) -> Response:
    limit, offset = call.paging()
    wanted = DomainFilter(
        organization_id=call.path("organization_id"), modes=tuple(call.many("enrollment_mode"))
    )
    found, total = await call.identity.organization_domains.page(
        wanted,
        Slice(limit, offset),
        member=(await call.signed_in()).user_id,
    )
    return await call.wrapped(wire.Paged([_shown(call, one) for one in found], total))


async def create(call: Call) -> Response:
    made = await call.identity.organization_domains.create(
        call.path("organization_id"),
        call.require("name"),
        actor=(await call.signed_in()).user_id,
        as_member=True,
    )
    return await call.wrapped(_shown(call, made))


async def read(call: Call) -> Response:
    found = await call.identity.organization_domains.get(*_ids(call), member=(await call.signed_in()).user_id)
    return await call.wrapped(_shown(call, found))


async def delete(call: Call) -> Response:
    actor = (await call.signed_in()).user_id
    await call.identity.organization_domains.delete(*_ids(call), actor=actor, as_member=True)
    return await call.wrapped(wire.DeletedObject("organization_domain", call.path("domain_id")))


async def prepare(call: Call) -> Response:
    """Mails a code to an address at the domain."""
    actor = (await call.signed_in()).user_id
    prepared = await call.identity.organization_domains.prepare(
        *_ids(call), call.require("affiliation_email_address"), actor=actor
    )
    return await call.wrapped(_shown(call, prepared))


async def attempt(call: Call) -> Response:
    actor = (await call.signed_in()).user_id
    limit = call.identity.settings.limits.factor_attempt_per_ip
    await call.identity.restrictions.spend("factor", call.visit.ip, limit)
    proved = await call.identity.organization_domains.attempt(*_ids(call), call.require("code"), actor=actor)
    return await call.wrapped(_shown(call, proved))


async def update(call: Call) -> Response:
    changed = await call.identity.organization_domains.update(
        *_ids(call),
        enrollment_mode=call.require("enrollment_mode"),
        deletes_pending=call.flag("delete_pending", False),
        actor=(await call.signed_in()).user_id,
        as_member=True,
    )
    return await call.wrapped(_shown(call, changed))


def _ids(call: Call) -> tuple[str, str]:
    return call.path("organization_id"), call.path("domain_id")


def _shown(call: Call, domain: Domain) -> resources.OrganizationDomain:
    return resources.domain(domain, call.views.images, call.now)


# -- who asks to join


async def requests(call: Call) -> Response:
    limit, offset = call.paging()
    found, total = await call.identity.enrollment.requests(
        call.path("organization_id"),
        member=(await call.signed_in()).user_id,
        limit=limit,
        offset=offset,
    )
    return await call.wrapped(wire.Paged([_request(call, one) for one in found], total))


async def accept(call: Call) -> Response:
    return await _answer(call, is_accepted=True)


async def reject(call: Call) -> Response:
    return await _answer(call, is_accepted=False)


async def _answer(call: Call, *, is_accepted: bool) -> Response:
    answered = await call.identity.enrollment.answer(
        call.path("organization_id"),
        call.path("request_id"),
        is_accepted=is_accepted,
        actor=(await call.signed_in()).user_id,
    )
    return await call.wrapped(_request(call, answered))


def _request(call: Call, one: Request) -> MembershipRequest:
    suggestion = one.suggestion
    return MembershipRequest(
        id=suggestion.id,
        organization_id=suggestion.organization_id,
        status=_STATUSES[suggestion.status],
        public_user_data=public_user_data(one.account, call.views.images),
        created_at=suggestion.created_at,
        updated_at=suggestion.updated_at,
    )

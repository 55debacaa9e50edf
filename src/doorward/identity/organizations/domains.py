"""Domains of organizations: claiming one, proving it, and how people with an address there come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from msgspec.structs import replace

from doorward.identity import mail
from doorward.identity.accounts import rules as account_rules
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    FORM_PARAM_VALUE_INVALID,
    ORGANIZATION_DOMAIN_ALREADY_EXISTS,
    ORGANIZATION_DOMAINS_NOT_ENABLED,
    VERIFICATION_ALREADY_VERIFIED,
    Problem,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id
from doorward.identity.instance.rules import OrganizationSettings
from doorward.identity.invitations import store as invitations
from doorward.identity.organizations import domain_store, rules, store
from doorward.identity.organizations.details import Domain
from doorward.identity.organizations.domain_store import DomainFilter, DomainRecord
from doorward.identity.organizations.lookup import narrowed, require_enabled, require_for
from doorward.identity.paging import Slice
from doorward.identity.resources import organizations as resources
from doorward.identity.resources.deleted import Deleted
from doorward.identity.resources.images import Images
from doorward.identity.restrictions.service import Restrictions
from doorward.identity.settings import IdentitySettings
from doorward.identity.verification import rules as verification_rules
from doorward.identity.verification import store as verifications
from doorward.identity.verification.service import Codes
from doorward.identity.webhooks import outbox
from doorward.store import Clock, ConstraintViolated, Database, Tx

T = TypeVar("T")

BY_CODE = "affiliation_email_code"
BY_BACK_END = "manual_override"


class Domains:
    """`actor` is a key, which may do all of it, or with `as_member` a person, who may what their role lets them."""

    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        codes: Codes,
        restrictions: Restrictions,
        mails: mail.MailQueue,
        images: Images,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._codes = codes
        self._restrictions = restrictions
        self._mails = mails
        self._images = images

    async def create(
        self,
        organization_id: str,
        name: str,
        *,
        enrollment_mode: str = "manual_invitation",
        is_verified: bool = False,
        actor: str,
        as_member: bool = False,
    ) -> Domain:
        """Raises Refused (403, 404, 422)."""
        name = name.strip().lower()
        problem = rules.domain_problem(name)
        if problem is not None:
            raise Refused(problem)
        now = self._clock()
        record = DomainRecord(
            id=new_id("orgdmn"),
            organization_id="",
            name=name,
            enrollment_mode=enrollment_mode,
            verified_at=now if is_verified else None,
            verified_by=BY_BACK_END if is_verified else None,
            created_at=now,
            updated_at=now,
        )

        def work(tx: Tx) -> Domain:
            organization = require_for(tx, organization_id, actor, rules.MANAGE_DOMAINS, as_member=as_member)
            _require_mode(require_domains(tx), enrollment_mode)
            made = replace(record, organization_id=organization.id)
            if domain_store.find_verified(tx, name) is not None or not domain_store.insert(tx, made):
                raise Refused(ORGANIZATION_DOMAIN_ALREADY_EXISTS.at("name"))
            return self._told(tx, made, "organizationDomain.created", actor=actor, now=now)

        return await self._database.write(work)

    async def page(
        self,
        wanted: DomainFilter,
        part: Slice,
        *,
        member: str | None = None,
    ) -> tuple[list[Domain], int]:
        """`member` is the person who asks about an organization, who must be one who may. Raises Refused (403, 404)."""
        now = self._clock()

        def find(tx: Tx) -> tuple[list[Domain], int]:
            require_enabled(tx)
            chosen = narrowed(tx, wanted, member, rules.READ_DOMAINS)
            found, total = domain_store.page(tx, chosen, part)
            return [self._shown(tx, one, now) for one in found], total

        return await self._database.read(find)

    async def get(self, organization_id: str, domain_id: str, *, member: str) -> Domain:
        """Raises Refused (403, 404)."""
        now = self._clock()

        def find(tx: Tx) -> Domain:
            record = self._own(tx, organization_id, domain_id, member, rules.READ_DOMAINS, True)
            return self._shown(tx, record, now)

        return await self._database.read(find)

    async def update(
        self,
        organization_id: str,
        domain_id: str,
        *,
        enrollment_mode: str | None = None,
        is_verified: bool | None = None,
        deletes_pending: bool = False,
        actor: str,
        as_member: bool = False,
    ) -> Domain:
        """None leaves it as it is; `deletes_pending` withdraws the suggestions nobody answered. Raises Refused (403, 404,
        422)."""
        now = self._clock()

        def work(tx: Tx) -> Domain:
            record = self._own(tx, organization_id, domain_id, actor, rules.MANAGE_DOMAINS, as_member)
            if enrollment_mode is not None:
                _require_mode(require_domains(tx), enrollment_mode)
                record = replace(record, enrollment_mode=enrollment_mode)
            if is_verified is not None and is_verified != (record.verified_at is not None):
                verifications.forget(tx, record.id)
                record = replace(
                    record,
                    verified_at=now if is_verified else None,
                    verified_by=BY_BACK_END if is_verified else None,
                )
            if deletes_pending:
                domain_store.delete_pending_suggestions(tx, record.id)
            return self._put(tx, replace(record, updated_at=now), actor=actor, now=now)

        return await self._write_unique(work)

    async def delete(
        self, organization_id: str, domain_id: str, *, actor: str, as_member: bool = False
    ) -> None:
        """Raises Refused (403, 404)."""
        now = self._clock()

        def work(tx: Tx) -> None:
            record = self._own(tx, organization_id, domain_id, actor, rules.MANAGE_DOMAINS, as_member)
            domain_store.delete(tx, record.id)
            audit.record(tx, now=now, actor=actor, action="organization_domain.deleted", object_id=record.id)
            gone = Deleted("organization_domain", record.id)
            outbox.enqueue(tx, "organizationDomain.deleted", gone, now=now)

        await self._database.write(work)

    # -- proving it

    async def prepare(self, organization_id: str, domain_id: str, address: str, *, actor: str) -> Domain:
        """Mail a code to an address at the domain. Raises Refused (400, 403, 404, 422, 429)."""
        normalised = account_rules.normalise_email(address)
        if normalised is None:
            raise Refused(account_rules.email_problem("affiliation_email_address"))
        await self.get(organization_id, domain_id, member=actor)
        await self._restrictions.spend("mail", normalised, self._settings.limits.mail_per_address)
        now, code = self._clock(), verification_rules.new_code()

        def work(tx: Tx) -> Domain:
            record = self._own(tx, organization_id, domain_id, actor, rules.MANAGE_DOMAINS, True)
            if record.verified_at is not None:
                raise Refused(VERIFICATION_ALREADY_VERIFIED)
            if normalised.rpartition("@")[2] != record.name:
                raise Refused(
                    FORM_PARAM_VALUE_INVALID.at(
                        "affiliation_email_address",
                        long_message=f"affiliation_email_address must be an address at {record.name}.",
                    )
                )
            self._codes.issue(tx, record.id, strategy=BY_CODE, code=code, now=now)
            changed = replace(record, affiliation_email_address=normalised, updated_at=now)
            return self._put(tx, changed, actor=actor, now=now)

        domain = await self._database.write(work)
        self._mails.post(
            mail.domain_verification(
                normalised, code, domain.organization.name, self._settings.application_name
            )
        )
        return domain

    async def attempt(self, organization_id: str, domain_id: str, code: str, *, actor: str) -> Domain:
        """Raises Refused (400, 403, 404, 422); a wrong code is counted."""
        now = self._clock()

        def work(tx: Tx) -> Domain | Problem:
            record = self._own(tx, organization_id, domain_id, actor, rules.MANAGE_DOMAINS, True)
            if record.verified_at is not None:
                return VERIFICATION_ALREADY_VERIFIED
            problem = self._codes.attempt(tx, record.id, strategy=BY_CODE, code=code, now=now)
            if problem is not None:
                return problem
            proved = replace(record, verified_at=now, verified_by=BY_CODE, updated_at=now)
            return self._put(tx, proved, actor=actor, now=now)

        outcome = await self._write_unique(work)
        if isinstance(outcome, Problem):
            raise Refused(outcome)
        return outcome

    # -- the steps of a transaction

    async def _write_unique(self, work: Callable[[Tx], T]) -> T:
        """Raises Refused (422) when another organization has proved the domain."""
        try:
            return await self._database.write(work)
        except ConstraintViolated as error:
            raise Refused(ORGANIZATION_DOMAIN_ALREADY_EXISTS.at("name")) from error

    def _own(
        self, tx: Tx, organization_id: str, domain_id: str, actor: str, permission: str, as_member: bool
    ) -> DomainRecord:
        organization = require_for(tx, organization_id, actor, permission, as_member=as_member)
        record = domain_store.find(tx, domain_id)
        if record is None or record.organization_id != organization.id:
            raise Refused(not_found(f"No domain was found with id {domain_id}"))
        return record

    def _put(self, tx: Tx, record: DomainRecord, *, actor: str, now: int) -> Domain:
        domain_store.put(tx, record)
        return self._told(tx, record, "organizationDomain.updated", actor=actor, now=now)

    def _told(
        self,
        tx: Tx,
        record: DomainRecord,
        event: Literal["organizationDomain.created", "organizationDomain.updated"],
        *,
        actor: str,
        now: int,
    ) -> Domain:
        audit.record(
            tx,
            now=now,
            actor=actor,
            action=event.replace("organizationDomain", "organization_domain"),
            object_id=record.id,
            detail=record.name,
        )
        domain = self._shown(tx, record, now)
        outbox.enqueue(tx, event, resources.domain(domain, self._images, now), now=now)
        return domain

    def _shown(self, tx: Tx, record: DomainRecord, now: int) -> Domain:
        organization = store.find(tx, record.organization_id)
        if organization is None:
            raise RuntimeError(f"{record.id} refers to rows that are gone")
        return Domain(
            record,
            verifications.find(tx, record.id),
            organization,
            invitations.count_pending_at(tx, record.organization_id, record.name, now),
            domain_store.count_pending_suggestions(tx, record.id),
        )


def require_domains(tx: Tx) -> OrganizationSettings:
    """Raises Refused (403) where organizations have no domains."""
    settings = require_enabled(tx).organizations
    if not settings.domains_enabled:
        raise Refused(ORGANIZATION_DOMAINS_NOT_ENABLED)
    return settings


def _require_mode(settings: OrganizationSettings, mode: str) -> None:
    """Raises Refused (422) for a mode the instance does not offer."""
    if mode not in ("manual_invitation", *settings.domains_enrollment_modes):
        raise Refused(
            FORM_PARAM_VALUE_INVALID.at(
                "enrollment_mode", long_message=f"This instance does not offer {mode}."
            )
        )

"""The services of one instance, put together, and its background jobs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from starlette.types import ASGIApp

from doorward.identity.accounts.addresses import Addresses
from doorward.identity.accounts.administration import Administration
from doorward.identity.accounts.administrators import Administrators
from doorward.identity.accounts.directory import Directory
from doorward.identity.accounts.imports import Imports
from doorward.identity.accounts.passwords import PasswordHasher
from doorward.identity.accounts.service import Accounts
from doorward.identity.api_keys import APIKeys
from doorward.identity.audit.service import AuditTrail
from doorward.identity.clients import store as client_rows
from doorward.identity.clients.service import Clients
from doorward.identity.identifiers import new_id
from doorward.identity.instance import Instance
from doorward.identity.invitations.service import Invitations
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.linked_machines import LinkedMachines, none_known
from doorward.identity.m2m_tokens import M2MTokens
from doorward.identity.m2m_tokens import rules as m2m_rules
from doorward.identity.m2m_tokens import store as m2m_rows
from doorward.identity.machines import Machines
from doorward.identity.machines import store as machine_rows
from doorward.identity.mail import DevelopmentInbox, Mail, Mailer, MailQueue
from doorward.identity.oauth import devices as device_rows
from doorward.identity.oauth import grants
from doorward.identity.oauth.applications import Applications
from doorward.identity.oauth.authorize import Authorize
from doorward.identity.oauth.devices import Devices
from doorward.identity.oauth.inspection import Inspection
from doorward.identity.oauth.tokens import TokenEndpoint
from doorward.identity.organizations.domains import Domains
from doorward.identity.organizations.enrollment import Enrollment
from doorward.identity.organizations.invitations import OrganizationInvitations
from doorward.identity.organizations.memberships import Memberships
from doorward.identity.organizations.roles import Roles
from doorward.identity.organizations.service import Organizations
from doorward.identity.redirect_urls import RedirectUrls
from doorward.identity.resources.for_back_ends import emails
from doorward.identity.resources.images import Images
from doorward.identity.resources.sessions import SessionViews
from doorward.identity.restrictions import store as restriction_rows
from doorward.identity.restrictions.lists import ListedIdentifiers
from doorward.identity.restrictions.service import Restrictions
from doorward.identity.secret_keys import SecretKeys
from doorward.identity.sessions import store as session_rows
from doorward.identity.sessions.administration import SessionAdministration
from doorward.identity.sessions.refresh import RefreshTokens
from doorward.identity.sessions.service import Sessions
from doorward.identity.settings import DAY, HOUR, IdentitySettings
from doorward.identity.sign_in import store as sign_in_rows
from doorward.identity.sign_in.service import SignIns
from doorward.identity.sign_up import store as sign_up_rows
from doorward.identity.sign_up.service import SignUps
from doorward.identity.signing_keys.service import SigningKeys
from doorward.identity.templates.service import Templates
from doorward.identity.tickets import store as ticket_rows
from doorward.identity.tickets.service import Tickets
from doorward.identity.verification import store as verification_rows
from doorward.identity.verification.service import Codes
from doorward.identity.visits import Visits
from doorward.identity.waitlist.service import Waitlist
from doorward.identity.webhooks import outbox
from doorward.identity.webhooks.events import Events
from doorward.identity.webhooks.service import Webhooks
from doorward.store import Clock, Database, Sealer, StoreError, Tx

_log = logging.getLogger("doorward.identity")


class Identity:
    """The services of one instance, and `app`, the ASGI application for its accounts origin that `create_identity` gave it."""

    app: ASGIApp

    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        *,
        sealer: Sealer,
        mailer: Mailer,
        clock: Clock,
        keyed_hash: KeyedHash,
        hasher: PasswordHasher,
    ) -> None:
        self.settings = settings
        self.instance_id = f"ins_{keyed_hash.of('instance id', settings.origin)[:27]}"
        self.database = database
        self.clock = clock
        self.inbox = mailer if settings.development and isinstance(mailer, DevelopmentInbox) else None
        self.hasher = hasher
        self.mails = MailQueue(mailer, tell=self._tell_of_mail)
        self.views = SessionViews(Images(settings.origin))
        events = Events(self.views)
        self.clients = Clients(keyed_hash)
        self.instance = Instance(settings, database, clock, self.instance_id)
        self.visits = Visits(settings, database, self.clients, keyed_hash, self.instance)
        codes = Codes(keyed_hash, settings.limits.code_resend_ms)
        self._put_together_keys(keyed_hash, sealer)
        self._put_together_ways_in(keyed_hash)
        self._put_together_organizations(codes)
        self._put_together_sessions(keyed_hash, events)
        self._put_together_accounts(codes, events)
        self._put_together_sign_up_and_sign_in(keyed_hash, codes, events)
        self._put_together_oauth(keyed_hash)
        self._jobs: list[asyncio.Task[None]] = []

    def _put_together_keys(self, keyed_hash: KeyedHash, sealer: Sealer) -> None:
        """Keys, and what is checked with them."""
        self.signing_keys = SigningKeys(self.database, sealer, self.clock)
        self.templates = Templates(
            self.database,
            self.clock,
            sealer=sealer,
            signing_keys=self.signing_keys,
            image_url=self.views.image_url,
        )
        self.secret_keys = SecretKeys(
            self.database, self.clock, keyed_hash=keyed_hash, development=self.settings.development
        )
        self.webhooks = Webhooks(
            self.database, self.clock, sealer=sealer, private_hosts=self.settings.webhook_private_hosts
        )
        self.machines = Machines(
            self.database, self.clock, keyed_hash=keyed_hash, sealer=sealer, instance_id=self.instance_id
        )
        self.api_keys = APIKeys(self.database, self.clock, keyed_hash=keyed_hash, sealer=sealer)
        self.m2m_tokens = M2MTokens(
            self.settings.origin,
            self.database,
            self.clock,
            keyed_hash=keyed_hash,
            signing_keys=self.signing_keys,
        )

    def _put_together_ways_in(self, keyed_hash: KeyedHash) -> None:
        """Who may sign up."""
        self.restrictions = Restrictions(self.instance, self.database, keyed_hash, self.clock)
        self.invitations = Invitations(
            self.settings, self.database, self.clock, keyed_hash=keyed_hash, mails=self.mails
        )
        self.listed_identifiers = ListedIdentifiers(
            self.database, self.clock, invitation_service=self.invitations
        )
        self.waitlist = Waitlist(
            self.settings,
            self.database,
            self.clock,
            invitation_service=self.invitations,
            restrictions=self.restrictions,
            mails=self.mails,
        )
        self.redirect_urls = RedirectUrls(self.database, self.clock)

    def _put_together_organizations(self, codes: Codes) -> None:
        self.memberships = Memberships(self.database, self.clock, images=self.views.images)
        self.organizations = Organizations(
            self.database, self.clock, memberships=self.memberships, images=self.views.images
        )
        self.organization_roles = Roles(self.database, self.clock)
        self.organization_invitations = OrganizationInvitations(
            self.settings,
            self.database,
            self.clock,
            invitation_service=self.invitations,
            memberships=self.memberships,
            images=self.views.images,
            mails=self.mails,
        )
        self.organization_domains = Domains(
            self.settings,
            self.database,
            self.clock,
            codes=codes,
            restrictions=self.restrictions,
            mails=self.mails,
            images=self.views.images,
        )
        self.enrollment = Enrollment(
            self.database, self.clock, memberships=self.memberships, invitation_service=self.invitations
        )

    def _put_together_sessions(self, keyed_hash: KeyedHash, events: Events) -> None:
        """Sessions and the tokens made in them."""
        self.sessions = Sessions(
            self.settings,
            self.database,
            self.clock,
            client_service=self.clients,
            signing_keys=self.signing_keys,
            templates=self.templates,
            restrictions=self.restrictions,
            memberships=self.memberships,
            hasher=self.hasher,
            events=events,
        )
        self.refresh_tokens = RefreshTokens(
            self.settings,
            self.database,
            self.clock,
            keyed_hash=keyed_hash,
            sessions=self.sessions,
            signing_keys=self.signing_keys,
        )
        self.session_administration = SessionAdministration(
            self.settings,
            self.database,
            self.clock,
            sessions=self.sessions,
            client_service=self.clients,
            signing_keys=self.signing_keys,
            templates=self.templates,
        )

    def _put_together_accounts(self, codes: Codes, events: Events) -> None:
        """Accounts, and those who look after them."""
        self.accounts = Accounts(
            self.settings,
            self.database,
            self.clock,
            sessions=self.sessions,
            restrictions=self.restrictions,
            codes=codes,
            hasher=self.hasher,
            mails=self.mails,
            events=events,
        )
        self.addresses = Addresses(
            self.settings,
            self.database,
            self.clock,
            codes=codes,
            restrictions=self.restrictions,
            mails=self.mails,
            events=events,
        )
        self.directory = Directory(self.database)
        self.administrators = Administrators(self.database, self.clock)
        self.audit = AuditTrail(self.database)
        self.linked_machines: LinkedMachines = none_known
        self.administration = Administration(
            self.settings,
            self.database,
            self.clock,
            accounts=self.accounts,
            sessions=self.sessions,
            hasher=self.hasher,
            mails=self.mails,
            events=events,
        )
        self.imports = Imports(self.database, self.clock, administration=self.administration, events=events)

    def _put_together_sign_up_and_sign_in(self, keyed_hash: KeyedHash, codes: Codes, events: Events) -> None:
        self.sign_up = SignUps(
            self.settings,
            self.database,
            self.clock,
            client_service=self.clients,
            sessions=self.sessions,
            restrictions=self.restrictions,
            invitation_service=self.invitations,
            organization_invitations=self.organization_invitations,
            waitlist=self.waitlist,
            codes=codes,
            hasher=self.hasher,
            mails=self.mails,
            events=events,
        )
        self.tickets = Tickets(self.database, self.clock, memberships=self.memberships, keyed_hash=keyed_hash)
        self.sign_in = SignIns(
            self.settings,
            self.database,
            self.clock,
            keyed_hash=keyed_hash,
            client_service=self.clients,
            sessions=self.sessions,
            restrictions=self.restrictions,
            codes=codes,
            hasher=self.hasher,
            tickets=self.tickets,
            organization_invitations=self.organization_invitations,
            mails=self.mails,
            events=events,
        )

    def _put_together_oauth(self, keyed_hash: KeyedHash) -> None:
        self.oauth = Authorize(self.settings, self.database, keyed_hash, self.clock)
        self.tokens = TokenEndpoint(
            self.settings, self.database, self.clock, keyed_hash=keyed_hash, signing_keys=self.signing_keys
        )
        self.devices = Devices(
            self.settings, self.database, self.clock, keyed_hash=keyed_hash, restrictions=self.restrictions
        )
        self.inspection = Inspection(
            self.settings, self.database, self.clock, keyed_hash=keyed_hash, signing_keys=self.signing_keys
        )
        self.oauth_applications = Applications(
            self.database, self.clock, keyed_hash=keyed_hash, inspection=self.inspection
        )

    async def prepare(self) -> None:
        """Keys, templates and clients that must exist before the first request."""
        await self.instance.prepare()
        await self.organization_roles.prepare()
        await self.signing_keys.prepare()
        await self.templates.prepare()
        await self.oauth.prepare()

    async def start(self) -> None:
        """Begin the background jobs: following changes of the instance and its keys, preparing the next key, tidying up."""
        self._jobs = [
            asyncio.create_task(self.instance.follow()),
            asyncio.create_task(self.signing_keys.follow()),
            asyncio.create_task(self._tidy()),
        ]

    async def stop(self) -> None:
        """End them, and send what mail is left."""
        for job in self._jobs:
            job.cancel()
        for job in self._jobs:
            with contextlib.suppress(asyncio.CancelledError):
                await job
        self._jobs = []
        await self.mails.drain()
        self.hasher.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Identity]:
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    async def administrator_invitation(self) -> str | None:
        """A one-time sign-up URL while no administrator exists; each call voids the one before."""
        return await self.invitations.for_administrator()

    async def issue_cli_grant(self, user_id: str) -> tuple[str, str, int]:
        """Access token, refresh token and the access token's end (ms), as `connect login` would have got them."""
        tokens = await self.tokens.issue_for(self.settings.cli_client_id, user_id)
        return tokens.access_token, tokens.refresh_token or "", tokens.expires_at

    async def _tell_of_mail(self, message: Mail) -> None:
        """Not in the transaction that led to the mail, which is sent after COMMIT and lost with the process like it."""
        if await self.database.read(lambda tx: outbox.is_wanted(tx, "email.created")):
            now, told = self.clock(), emails.email(new_id("ema"), message)
            await self.database.write(lambda tx: outbox.enqueue(tx, "email.created", told, now=now))

    async def _tidy(self) -> None:
        while True:
            try:
                await self.signing_keys.prepare_next()
                await self.signing_keys.forget_gone()
                await self.forget_expired()
            except StoreError:
                _log.exception("tidying up failed; it is tried again within the hour")
            await asyncio.sleep(HOUR / 1000)

    async def forget_expired(self) -> None:
        """Remove rows nothing can need any more."""
        now = self.clock()

        def work(tx: Tx) -> None:
            verification_rows.forget_before(tx, now - DAY)
            ticket_rows.delete_expired(tx, now - 30 * DAY)
            restriction_rows.forget_arrivals_before(tx, now - DAY)
            self.sessions.end_run_out(tx, now)
            session_rows.delete_finished_before(tx, now - 30 * DAY)
            sign_up_rows.delete_abandoned(tx, now)
            sign_in_rows.delete_abandoned(tx, now)
            grants.delete_expired(tx, now)
            device_rows.delete_expired(tx, now)
            machine_rows.delete_ended_keys(tx, now)
            m2m_rows.delete_ended_before(tx, now - m2m_rules.KEPT_MS)
            client_rows.delete_unused_before(tx, now - DAY)
            self.webhooks.forget(tx, now)

        await self.database.write(work)

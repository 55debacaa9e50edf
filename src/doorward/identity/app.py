"""Assembly: an instance of the services behind their routes."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.types import ASGIApp

from doorward.identity import console, pages
from doorward.identity.accounts.passwords import PasswordHasher
from doorward.identity.backend_api.callers import Callers, LocalOperator
from doorward.identity.backend_api.catalogue import LOCAL_OPERATIONS, OPERATIONS
from doorward.identity.backend_api.dispatch import BackendApi
from doorward.identity.frontend_api import (
    client,
    consent,
    me,
    my_organizations,
    organization_domains,
    organizations,
    sessions,
    sign_ins,
    sign_ups,
    waitlist,
    well_known,
)
from doorward.identity.frontend_api.dispatch import Endpoints, FrontendDispatch
from doorward.identity.frontend_api.oauth import OAuthRoutes
from doorward.identity.mail import Mailer
from doorward.identity.origin import Origin
from doorward.identity.services import Identity
from doorward.identity.settings import IdentitySettings
from doorward.identity.signing_keys.service import load_keyed_hash
from doorward.store import Clock, Database, Schema, Sealer, system_clock

SCHEMA = Schema("identity", "doorward.identity.migrations")


async def create_identity(
    settings: IdentitySettings,
    database: Database,
    *,
    sealer: Sealer,
    mailer: Mailer,
    clock: Clock = system_clock,
    hasher: PasswordHasher | None = None,
) -> Identity:
    """An instance ready to serve on a database opened with `SCHEMA`."""
    keyed_hash = await load_keyed_hash(database, sealer, clock)
    identity = Identity(
        settings,
        database,
        sealer=sealer,
        mailer=mailer,
        clock=clock,
        keyed_hash=keyed_hash,
        hasher=hasher or PasswordHasher(),
    )
    identity.app = _application(identity)
    await identity.prepare()
    return identity


def operator_application(identity: Identity, name: str) -> ASGIApp:
    """The Backend API for `name`, who can read this instance's database and keys anyway: it asks for no key, and offers
    what is offered to nobody from afar. Never to be served."""
    operator = LocalOperator(name, Callers(identity.secret_keys, identity.machines))
    return BackendApi(identity, operator, (*OPERATIONS, *LOCAL_OPERATIONS))


def _application(identity: Identity) -> ASGIApp:
    endpoints = Endpoints(identity)
    routes = [
        *client.routes(endpoints),
        *sessions.routes(endpoints),
        *sign_ups.routes(endpoints),
        *sign_ins.routes(endpoints),
        *me.routes(endpoints),
        *organizations.routes(endpoints),
        *organization_domains.routes(endpoints),
        *my_organizations.routes(endpoints),
        *consent.routes(endpoints),
        *waitlist.routes(endpoints, identity, pages.error_page),
        endpoints.unknown(),
        *OAuthRoutes(identity, pages.error_page).routes(),
        *well_known.routes(identity),
        *pages.routes(identity),
        *console.routes(identity),
    ]
    frontend = Starlette(routes=routes, exception_handlers=pages.exception_handlers(identity))
    backend = BackendApi(identity, Callers(identity.secret_keys, identity.machines), OPERATIONS)
    return Origin(backend, FrontendDispatch(identity, frontend), identity.visits.ip_of)

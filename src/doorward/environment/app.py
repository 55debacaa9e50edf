"""Assembly: an environment behind its routes."""

from __future__ import annotations

from doorward.environment.api.apps import build_apps
from doorward.environment.environment import SCHEMA, Environment
from doorward.environment.settings import EnvironmentSettings
from doorward.outbound import Outbound
from doorward.store import Clock, Database, open_database, system_clock


async def create_environment(
    settings: EnvironmentSettings,
    *,
    outbound: Outbound,
    clock: Clock = system_clock,
    database: Database | None = None,
) -> Environment:
    """Open the data folder (made when missing) and put the environment together.

    Without `database`, `<home>/userdata/state.sqlite` is opened and belongs to the environment.
    Raises StoreError, SecretStoreFailed, OSError.
    """
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    given = database
    if database is None:
        database = await open_database(settings.database_url, schemas=[SCHEMA])
    try:
        environment = Environment(settings, database, outbound=outbound, clock=clock)
    except BaseException:
        if given is None:
            await database.close()
        raise
    environment.loopback_app, environment.tunnel_app = build_apps(environment)
    return environment

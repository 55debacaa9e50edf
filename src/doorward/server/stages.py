"""Stages: several installations of one relay beside each other, such as `prod` and `dev_ada`, that share nothing.

Each stage other than production has a data folder below production's, or a schema of its own in production's
PostgreSQL database, and host names of its own. It starts only where production exists: what is tried out lives beside
what is real, never instead of it.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from doorward.server.configuration import ConfigurationInvalid
from doorward.store import DatabaseUnreachable, StoreError

PRODUCTION = "prod"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?")
_PROOF_OF_LIFE = "SELECT count(*) FROM relay_signing_keys"


class ProductionMissing(ConfigurationInvalid):
    """A stage was asked for where production never started."""

    code = "production_missing"


def check_stage(stage: str) -> None:
    """Raises ConfigurationInvalid."""
    if not _NAME.fullmatch(stage):
        raise ConfigurationInvalid(
            f"A stage is named with up to 40 lower-case letters, digits, dashes and underscores, such as dev_ada; not {stage!r}."
        )


def relay_host(stage: str, *, domain: str, api_zone: str) -> str:
    """The relay's host name: `relay.<zone>` or the named domain; another stage's carries its name in the first label.

    Raises ConfigurationInvalid for a label of more than 63 characters.
    """
    host = _dns_name(domain) or f"relay.{_dns_name(api_zone)}"
    if stage != PRODUCTION:
        first, _, rest = host.partition(".")
        slug = re.sub(r"-+", "-", re.sub(r"[^a-z0-9-]", "-", stage.lower())).strip("-")
        host = f"{first}-{slug}.{rest}"
    label = host.partition(".")[0]
    if len(label) > 63:
        raise ConfigurationInvalid(
            f"The stage {stage!r} makes {label!r} of the relay's host name; a label has at most 63 characters. "
            "Choose a shorter stage or name."
        )
    return host


def stage_data(stage: str, data: Path) -> Path:
    """The stage's data folder: its key file, and its database where that is SQLite."""
    return data if stage == PRODUCTION else data / "stages" / stage


def stage_database_url(stage: str, url: str) -> str:
    """PostgreSQL's URL with the stage's schema as the only one on its search path."""
    if stage == PRODUCTION or url.startswith("sqlite:"):
        return url
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "options"]
    query.append(("options", f"-csearch_path={stage_schema(stage)}"))
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


def stage_schema(stage: str) -> str:
    """A name that needs no quoting, and differs wherever the stages do."""
    digest = hashlib.sha256(stage.encode()).hexdigest()[:8]
    return f"stage_{stage.replace('-', '_')}_{digest}"


def prepare_stage(stage: str, *, production_url: str) -> None:
    """Make room for a stage beside production. Blocking. Raises ProductionMissing, StoreError."""
    if stage == PRODUCTION:
        return
    exists = (
        _sqlite_exists(production_url)
        if production_url.startswith("sqlite:")
        else _postgresql_exists(production_url, stage)
    )
    if not exists:
        raise ProductionMissing(
            f"The stage {stage!r} stands beside production, which does not exist in this database yet. "
            "Start production once, without --stage; then start this stage again."
        )


def _sqlite_exists(url: str) -> bool:
    from doorward.store.sqlite_files import path_of

    path = path_of(url)
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as connection:
            return bool(connection.execute(_PROOF_OF_LIFE).fetchone()[0])
    except sqlite3.Error:
        return False


def _postgresql_exists(url: str, stage: str) -> bool:
    import psycopg

    from doorward.store.postgresql_listener import connect

    with closing(connect(url)) as connection:
        try:
            row = connection.execute(_PROOF_OF_LIFE.encode()).fetchone()
        except psycopg.errors.UndefinedTable:
            return False
        except psycopg.Error as error:
            raise DatabaseUnreachable(
                f"PostgreSQL does not tell whether production exists: {error}"
            ) from error
        if row is None or not row[0]:
            return False
        try:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {stage_schema(stage)}".encode())
        except psycopg.Error as error:
            raise _no_schema(stage, error) from error
    return True


def _no_schema(stage: str, error: Exception) -> StoreError:
    return DatabaseUnreachable(
        f"The schema of stage {stage!r} cannot be made ({' '.join(str(error).split())}). Create it, or let this user: "
        f"CREATE SCHEMA {stage_schema(stage)}"
    )


def _dns_name(text: str) -> str:
    return text.strip().lower().strip(".")

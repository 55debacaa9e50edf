"""The Backend API without a server, for the operator of this machine: the same application, called in this process.

It works on the installation's own database, beside a server that runs or where none does; what it changes reaches running
servers as any commit of another process does. Audit rows name the operator.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message

from doorward.identity.app import SCHEMA, create_identity, operator_application
from doorward.identity.mail import ConsoleMailer, Mailer
from doorward.identity.settings import IdentitySettings
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.server.configuration import ConfigurationInvalid, ServeConfiguration, load_serve_configuration
from doorward.server.env_file import load_env_file
from doorward.server.serve import plan_of
from doorward.server.up_places import identity_settings, places_of
from doorward.store import KeyFileRefused, Sealer, open_database
from doorward.store.sealing import key_ids


class LocalInstance:
    """What an accounts server on this machine is made of."""

    def __init__(
        self, settings: IdentitySettings, *, database_url: str, key_file: Path, mailer: Mailer
    ) -> None:
        self.settings = settings
        self.database_url = database_url
        self.key_file = key_file
        self.mailer = mailer


class LocalApi:
    """Requests to the application as an HTTP client would send them."""

    def __init__(self, app: ASGIApp, origin: str) -> None:
        self._app = app
        self._host = urlsplit(origin).netloc

    async def send(
        self, method: str, target: str, *, body: bytes | None, key: str | None
    ) -> tuple[int, bytes]:
        """Status and body. `target` is path and query; `key` is a machine's, or None for the operator themselves."""
        path, _, query = target.partition("?")
        headers = [(b"host", self._host.encode()), (b"content-type", b"application/json")]
        if key is not None:
            headers.append((b"authorization", f"Bearer {key}".encode()))
        status, answer = 0, bytearray()

        async def receive() -> Message:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                answer.extend(message.get("body", b""))

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "client": None,
            "server": None,
        }
        await self._app(scope, receive, send)
        return status, bytes(answer)


def instance_of_config(path: Path) -> LocalInstance:
    """Raises ConfigurationInvalid."""
    return _served(path, load_serve_configuration(path))


def instance_of_env_file(path: Path, stage: str) -> LocalInstance:
    """Raises ConfigurationInvalid, also where the accounts are at Clerk's."""
    return _served(path, load_env_file(path, stage=stage).configuration)


def _served(path: Path, configuration: ServeConfiguration) -> LocalInstance:
    if "identity" not in configuration.roles:
        raise ConfigurationInvalid(
            f"{path}: this node has no accounts (roles). Run the command on one that does, or with --url."
        )
    plan = plan_of(configuration)
    mailer = plan.mailer if configuration.mail is not None else ConsoleMailer(sys.stderr)
    return LocalInstance(plan.identity, database_url=plan.database_url, key_file=plan.key_file, mailer=mailer)


def instance_of_home(accounts_origin: str, *, database_url: str, key_file: Path) -> LocalInstance:
    """Of `doorward up`, whose accounts are at this origin. Mails are shown on standard error."""
    url = urlsplit(accounts_origin)
    places = places_of(url.port or 0, tls=url.scheme == "https")
    return LocalInstance(
        identity_settings(places),
        database_url=database_url,
        key_file=key_file,
        mailer=ConsoleMailer(sys.stderr),
    )


@contextlib.asynccontextmanager
async def open_local_api(instance: LocalInstance, operator: str) -> AsyncIterator[LocalApi]:
    """Raises StoreError; KeyFileRefused where no server ever ran. What is mailed is sent before the block is left."""
    if not key_ids(instance.key_file):
        raise KeyFileRefused(
            f"There is no key file {instance.key_file}: no server ever ran there, or it was moved."
        )
    database = await open_database(instance.database_url, schemas=[RELAY_SCHEMA, SCHEMA])
    try:
        identity = await create_identity(
            instance.settings, database, sealer=Sealer.from_file(instance.key_file), mailer=instance.mailer
        )
        try:
            yield LocalApi(operator_application(identity, operator), instance.settings.origin)
        finally:
            await identity.stop()
    finally:
        await database.close()

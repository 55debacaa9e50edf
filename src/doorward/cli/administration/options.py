"""What every command of administration takes, and how it reaches the API."""

from __future__ import annotations

import contextlib
import functools
import getpass
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from doorward.cli.administration.api import Api
from doorward.cli.options import json_option
from doorward.cli.output import fail, run
from doorward.cli.places import place_of, place_options

if TYPE_CHECKING:
    from doorward.server.local_api import LocalInstance

T = TypeVar("T")

URL_VARIABLE = "CLERK_API_URL"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Which instance a command is about, and how it answers."""

    url: str | None
    secret_key_file: Path | None
    config: Path | None
    env_file: Path | None
    stage: str
    home: Path | None
    database: str | None
    as_json: bool

    def run(self, work: Callable[[Api], Awaitable[T]]) -> T:
        """Do `work` with the API opened; known failures end the program with their sentence."""

        async def opened() -> T:
            async with self.opened() as api:
                return await work(api)

        return run(opened(), as_json=self.as_json)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Api]:
        if self.url is not None:
            async with self._over_http(self.url) as api:
                yield api
            return
        from doorward.server.local_api import open_local_api

        async with open_local_api(self._instance(), getpass.getuser()) as local:
            yield Api(local)

    @contextlib.asynccontextmanager
    async def _over_http(self, url: str) -> AsyncIterator[Api]:
        from doorward.cli.administration.http import HttpTransport, accounts_origin, secret_key
        from doorward.client.configuration import authority_file, default_home
        from doorward.outbound import Outbound

        origin, key = accounts_origin(url), secret_key(self.secret_key_file)
        outbound = Outbound(ca_file=authority_file(self.home or default_home()))
        try:
            yield Api(HttpTransport(outbound, origin, key))
        finally:
            await outbound.close()

    def _instance(self) -> LocalInstance:
        from doorward.client.configuration import default_home, load_configuration
        from doorward.server import local_api
        from doorward.server.configuration import ConfigurationInvalid

        try:
            if self.config is not None:
                return local_api.instance_of_config(self.config)
            if self.env_file is not None:
                return local_api.instance_of_env_file(self.env_file, self.stage)
        except ConfigurationInvalid as error:
            self.fail(str(error), code="configuration_invalid")
        place = place_of(
            config=None,
            env_file=None,
            stage=self.stage,
            home=self.home,
            database=self.database,
            as_json=self.as_json,
        )
        if place.server_database is None or place.key_file is None:
            self.fail(
                f"There is no server in {place.root}. Name one: --config doorward.toml on its machine, or --url with"
                " a secret key from anywhere.",
                code="no_server",
            )
        configuration = load_configuration(self.home or default_home(), {})
        return local_api.instance_of_home(
            configuration.accounts_origin, database_url=place.server_database, key_file=place.key_file
        )

    def fail(self, message: str, *, code: str) -> NoReturn:
        fail(message, code=code, as_json=self.as_json)


def administration(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command its options; it is called with the `Target` they make, then its own."""

    @functools.wraps(command)
    def called(
        url: str | None,
        secret_key_file: Path | None,
        config: Path | None,
        env_file: Path | None,
        stage: str,
        home: Path | None,
        database: str | None,
        as_json: bool,
        **own: Any,
    ) -> None:
        here = [one for one in (config, env_file, database) if one is not None]
        source = click.get_current_context().get_parameter_source("url")
        if here and source is click.core.ParameterSource.ENVIRONMENT:
            url = None
        if here and url is not None:
            raise click.UsageError("Name a server with --url, or one of this machine; not both.")
        target = Target(
            url=url,
            secret_key_file=secret_key_file,
            config=config,
            env_file=env_file,
            stage=stage,
            home=home,
            database=database,
            as_json=as_json,
        )
        command(target, **own)

    made: Callable[..., None] = json_option(place_options(called))
    for option in (
        click.option(
            "--secret-key-file",
            type=click.Path(path_type=Path),
            help="With --url: a file that holds the secret key (default: CLERK_SECRET_KEY).",
        ),
        click.option(
            "--url", envvar=URL_VARIABLE, help="The accounts server, from anywhere; it takes a secret key."
        ),
    ):
        made = option(made)
    return made


yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def confirmed(target: Target, question: str, *, yes: bool) -> bool:
    """Whether the person agrees; a program that cannot be asked has to say so beforehand."""
    if yes:
        return True
    if target.as_json:
        target.fail(f"{question} If that is meant, add --yes.", code="confirmation_needed")
    try:
        if click.confirm(question):
            return True
    except click.Abort:
        print()
        target.fail(f"{question} If that is meant, add --yes.", code="confirmation_needed")
    print("Nothing was changed.")
    return False


def json_object(target: Target, text: str | None, option: str) -> dict[str, Any] | None:
    """The JSON object an option holds, or `@file` names."""
    import msgspec

    if text is None:
        return None
    try:
        source = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        found = msgspec.json.decode(source)
    except OSError as error:
        target.fail(f"{option}: {text[1:]} cannot be read ({error.strerror}).", code="file_unreadable")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        target.fail(f"{option} is not JSON: {error}.", code="json_invalid")
    if not isinstance(found, dict):
        target.fail(f"{option} has to be a JSON object.", code="json_invalid")
    return found

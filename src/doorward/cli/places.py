"""Options that say which installation a command of the operator is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doorward.cli.options import home_option
from doorward.cli.output import fail

if TYPE_CHECKING:
    from doorward.server.backup.places import Place


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--config`, `--env-file` with `--stage`, or `--home` with `--database`: what the server was started with."""
    for option in (
        home_option,
        click.option("--database", help="With --home: what `up --database` was given."),
        click.option("--stage", default="prod", show_default=True, help="With --env-file."),
        click.option("--env-file", type=click.Path(path_type=Path), help="A relay's env file."),
        click.option("--config", type=click.Path(path_type=Path), help="A server's doorward.toml."),
    ):
        command = option(command)
    return command


def place_of(
    config: Path | None,
    env_file: Path | None,
    stage: str,
    home: Path | None,
    database: str | None,
    *,
    is_new: bool = False,
    as_json: bool = False,
) -> Place:
    """The installation that the options name; `is_new` where it is about to be made."""
    from doorward.client.configuration import default_home
    from doorward.server.backup import places
    from doorward.server.configuration import ConfigurationInvalid

    if sum(one is not None for one in (config, env_file, home)) > 1:
        raise click.UsageError("Name one of --config, --env-file and --home.")
    try:
        if config is not None:
            return places.place_of_config(config)
        if env_file is not None:
            return places.place_of_env_file(env_file, stage)
    except ConfigurationInvalid as error:
        fail(str(error), code="configuration_invalid", as_json=as_json)
    make = places.new_home if is_new else places.place_of_home
    return make(home or default_home(), server_database=database)

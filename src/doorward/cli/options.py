"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path

import click

home_option = click.option(
    "--base-dir",
    "--home",
    "home",
    type=click.Path(path_type=Path),
    help="Data folder (default: DOORWARD_HOME, or the user's data folder).",
)


class Number(click.IntRange):
    """What a person is told of is a number, not an "integer range"."""

    name = "number"


json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")

"""The command line: `doorward …`, one file per group. Imports of servers and clients happen inside the commands.

serving    up, serve
expose     the agent
connect    connect login|link|status|security|unlink|logout
machines   list, open, forward
"""

from __future__ import annotations

import typer

from doorward import __version__

app = typer.Typer(
    name="doorward",
    help="Sign-in, tokens and an approved-device door to machines behind NAT.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"doorward {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", help="Print the version and leave.", callback=_version, is_eager=True
    ),
) -> None:
    """Options that stand before a command."""


def main() -> None:
    """The `doorward` program."""
    from doorward.cli import connect, expose, machines, serving

    serving.register(app)
    expose.register(app)
    machines.register(app)
    app.add_typer(connect.app, name="connect")
    app()

"""The command line: `doorward …`, one file per group. Imports of servers and clients happen inside the commands.

serving    up, serve
expose     the agent
connect    connect login|link|status|page|security|unlink|logout
machines   list, open, forward
options    what several commands take
output     JSON or words, failures, exit status
session    home folder, stored sign-in, the relay's client
"""

from __future__ import annotations

import click

from doorward import __version__
from doorward.cli import connect, expose, machines, serving


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="doorward %(version)s")
def program() -> None:
    """Sign-in, tokens and an approved-device door to machines behind NAT."""


for command in (
    serving.up,
    serving.serve,
    expose.expose,
    machines.list_machines,
    machines.open_service,
    machines.forward,
    connect.connect,
):
    program.add_command(command)


def main() -> None:
    """The `doorward` program."""
    program(prog_name="doorward")

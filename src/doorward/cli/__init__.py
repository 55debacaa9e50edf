"""The command line: `doorward …`, one file per group, imported when it is called. Imports of servers and clients happen inside
the commands.

commands      which there are: the table, and its imports
collector     how often Python's collector looks
serving       up, serve
expose        the agent
doctor        doctor, doctor token
keys          keys list|export|rotate|retire|secret
administration  users, machines, api-keys, templates, waitlist, invitations, webhooks, orgs, oauth, export
backup        backup, restore; places: which installation an operator means
connect       connect link|status|page|unlink|logout
login         connect login
security      connect security
machines      list, open
listing       the words of list
watch         watch (watch_screen, watch_changes: its pure parts; notifications)
status        the words of connect status
forward       forward
availability  what is offered where no server is known
options       what several commands take
output        JSON or words, failures, exit status
terminal      what a person types
log           the causes of failures, for later
session       home folder, stored sign-in, the relay's client
machine       the machine of a home folder
"""

from __future__ import annotations

import click

from doorward import __version__
from doorward.cli.availability import Program
from doorward.cli.collector import collect_rarely
from doorward.cli.commands import COMMANDS


@click.group(cls=Program, places=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="doorward %(version)s")
def program() -> None:
    """Sign-in, tokens and an approved-device door to machines behind NAT."""


def main() -> None:
    """The `doorward` program."""
    collect_rarely()  # before a command is imported
    program(prog_name="doorward")

"""The command line: `doorward …`, one file per group. Imports of servers and clients happen inside the commands.

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
from doorward.cli import backup, connect, doctor, expose, forward, keys, machines, serving, watch
from doorward.cli.administration import (
    api_keys,
    exporting,
    invitations,
    oauth,
    organizations,
    templates,
    users,
    waitlist,
    webhooks,
)
from doorward.cli.administration import machines as services
from doorward.cli.availability import Program


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="doorward %(version)s")
def program() -> None:
    """Sign-in, tokens and an approved-device door to machines behind NAT."""


for command in (
    serving.up,
    serving.serve,
    expose.expose,
    machines.list_machines,
    machines.open_service,
    forward.forward,
    connect.connect,
    watch.watch,
    backup.backup,
    backup.restore,
    keys.keys,
    doctor.doctor,
    users.users,
    services.machines,
    api_keys.api_keys,
    templates.templates,
    waitlist.waitlist,
    invitations.invitations,
    webhooks.webhooks,
    organizations.orgs,
    oauth.oauth,
    exporting.export,
):
    program.add_command(command)


def main() -> None:
    """The `doorward` program."""
    program(prog_name="doorward")

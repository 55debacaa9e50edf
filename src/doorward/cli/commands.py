"""Which commands there are, and the group that imports one when it is called.

All of them at once would be a tenth of a server's start: modules and hundreds of options of commands that it does not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

#: Where each command is: its module below `doorward.cli`, and its name there.
COMMANDS = {
    "up": "serving:up",
    "serve": "serving:serve",
    "expose": "expose:expose",
    "list": "machines:list_machines",
    "open": "machines:open_service",
    "forward": "forward:forward",
    "connect": "connect:connect",
    "watch": "watch:watch",
    "backup": "backup:backup",
    "restore": "backup:restore",
    "keys": "keys:keys",
    "doctor": "doctor:doctor",
    "users": "administration.users:users",
    "machines": "administration.machines:machines",
    "api-keys": "administration.api_keys:api_keys",
    "templates": "administration.templates:templates",
    "waitlist": "administration.waitlist:waitlist",
    "invitations": "administration.invitations:invitations",
    "webhooks": "administration.webhooks:webhooks",
    "orgs": "administration.organizations:orgs",
    "oauth": "administration.oauth:oauth",
    "export": "administration.exporting:export",
}


class LazyGroup(click.Group):
    """A group whose commands are imported by name. `places` are theirs, in the form of `COMMANDS`."""

    def __init__(self, *args: Any, places: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = places

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted(self._places)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        # A name that nothing has is answered with those that look like it.
        for wanted in [name] if name in self._places else self._places:
            if wanted not in self.commands:
                self.add_command(_imported(self._places[wanted]), wanted)
        return super().get_command(context, name)


def _imported(place: str) -> click.Command:
    module, name = place.split(":")
    command: click.Command = getattr(import_module(f"doorward.cli.{module}"), name)
    return command

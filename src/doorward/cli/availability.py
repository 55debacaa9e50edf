"""Where no server is known: `connect` is left out of the help, and says what is missing when it is called all the same."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

import click

from doorward.cli.commands import LazyGroup

T = TypeVar("T")

UNAVAILABLE = "T3 Connect commands are unavailable: this build is missing T3 Connect public configuration."


def unavailable_reason() -> str | None:
    """Why `connect` can do nothing for the default home folder, or None when it can do something."""
    from doorward.client.configuration import default_home, has_machine, load_configuration
    from doorward.client.errors import ConfigurationMissing

    home = default_home()
    try:
        load_configuration(home)
    except ConfigurationMissing as error:
        return None if has_machine(home) else str(error)
    return None


async def where_configured(work: Awaitable[T]) -> T:
    """The result of `work`; a missing configuration is told in T3's words first."""
    from doorward.client.errors import ConfigurationMissing

    try:
        return await work
    except ConfigurationMissing as error:
        raise ConfigurationMissing(f"{UNAVAILABLE}\n{error}") from error


class Program(LazyGroup):
    """The root. `connect` stays callable where it is not listed: a script deserves a reason, not "no such command"."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        for arg in args:
            # A byte of another encoding: nothing that is stored, sent or printed could hold it.
            if not _is_text(arg):
                raise click.UsageError(f"{arg!r} is not UTF-8 text.")
        context.obj = "--json" in args
        return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> object:
        """A data folder of another user's, such as one that was made with sudo, is met wherever it is first looked at. Programs
        hear of wrong usage, too, as JSON."""
        try:
            return super().invoke(context)
        except click.UsageError as error:
            if not context.obj:
                raise
            from doorward.cli.output import fail

            fail(error.format_message(), code="usage_wrong", as_json=True)
        except PermissionError as error:
            if error.filename is None:
                raise
            from doorward.cli.output import fail

            fail(
                f"{error.filename}: {error.strerror}. Run this as the user to whom it belongs, or choose another folder with"
                " --home or DOORWARD_HOME.",
                code="permission_denied",
                as_json=bool(context.obj),
            )

    def list_commands(self, context: click.Context) -> list[str]:
        names = super().list_commands(context)
        return names if unavailable_reason() is None else [name for name in names if name != "connect"]


def _is_text(arg: str) -> bool:
    try:
        arg.encode()
    except UnicodeEncodeError:
        return False
    return True


class ConnectGroup(click.Group):
    """`doorward connect` alone shows its help, and before it why nothing of it would work."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if not args and (reason := unavailable_reason()) is not None:
            from doorward.cli.output import fail

            click.echo(self.get_help(context), err=True)
            fail(f"{UNAVAILABLE}\n{reason}", code="configuration_missing")
        return super().parse_args(context, args)

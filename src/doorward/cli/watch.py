"""`doorward watch`: who asks to be let in, live, and deciding by keys.

On a terminal a screen; elsewhere a line an event, and about the watching itself a line on standard error; with `--json` an
object an event. All of them over the control socket of the agent, and again by themselves after the agent was restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from doorward.cli.machine import with_machine
from doorward.cli.options import home_option, json_option
from doorward.cli.output import colours, event_json, plain, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doorward.cli.watch_changes import Change
    from doorward.cli.watch_screen import Screen
    from doorward.environment.local import LocalMachine
    from doorward.t3_connect.messages import ConnectClient

_AGAIN_SECONDS = 1.0
_WATCHING = "Watching for devices that ask to be let in, until you press Ctrl-C."
_NO_AGENT = "The agent is not running. Waiting for it: start it with `doorward expose`."


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """One line of `--json`: what became of a device, and the words to know it by."""

    event: str
    key_phrase: str
    client: ConnectClient


class AgentGone(msgspec.Struct, frozen=True):
    event: str = "agent_stopped"


@click.command("watch")
@home_option
@json_option
def watch(home: Path | None, as_json: bool) -> None:
    """Show devices that ask to be let in, and decide.

    Runs until q or Ctrl-C. Compare the six words with those the device shows before you let it in.
    """
    is_screen = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    run(
        with_machine(home, _on_screen if is_screen else lambda machine: _as_lines(machine, as_json)),
        as_json=as_json,
    )


async def _pictures(machine: LocalMachine) -> AsyncIterator[Sequence[ConnectClient] | None]:
    """Every picture of the devices; None each time the agent is found gone. Raises AgentUnreachable if it never ran."""
    from doorward.environment.local import AgentUnreachable

    was_there = False
    while True:
        try:
            async with contextlib.aclosing(machine.watch()) as pictures:
                async for clients in pictures:
                    was_there = True
                    yield clients
        except AgentUnreachable as error:
            if not was_there:
                raise AgentUnreachable(f"{error} Start it with `doorward expose`.") from error
        yield None
        await asyncio.sleep(_AGAIN_SECONDS)


async def _as_lines(machine: LocalMachine, as_json: bool) -> None:
    from doorward.cli.notifications import notify
    from doorward.cli.watch_changes import Devices

    devices = Devices()
    is_there: bool | None = None
    async for clients in _pictures(machine):
        if is_there != (clients is not None):
            is_there = clients is not None
            _tell_of_agent(is_there, as_json)
        if clients is None:
            continue
        for change in devices.see(clients):
            if as_json:
                event_json(Event(change.kind, _phrase(change), change.client))
                continue
            print(_line(change), flush=True)
            if change.kind == "pending":
                await notify(*_notification(change))


def _tell_of_agent(is_there: bool, as_json: bool) -> None:
    if not as_json:
        print(_WATCHING if is_there else _NO_AGENT, file=sys.stderr, flush=True)
    elif not is_there:
        event_json(AgentGone())


def _line(change: Change) -> str:
    from doorward.cli.status import details_of, label_of

    client = change.client
    told = f"{change.kind:<8}  {label_of(client)} ({', '.join(details_of(client))})"
    return f"{plain(told)}  {_phrase(change)}  {client.client_proof_key_thumbprint}"


def _notification(change: Change) -> tuple[str, str]:
    from doorward.cli.status import label_of

    return f"{label_of(change.client)} asks to be let in", f"It must show: {_phrase(change)}"


def _phrase(change: Change) -> str:
    from doorward.jose import key_phrase

    return key_phrase(change.client.client_proof_key_thumbprint)


async def _on_screen(machine: LocalMachine) -> None:
    from doorward.cli.terminal import Input
    from doorward.cli.watch_screen import Quit, Screen, keys_in

    screen = Screen(is_bold=colours(sys.stdout))
    with _whole_terminal():
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, _draw, screen)
        watching = asyncio.create_task(_show_pictures(machine, screen), name="watch")
        typed = Input()
        try:
            while True:
                _draw(screen)
                typing = asyncio.create_task(typed.piece())
                await asyncio.wait({typing, watching}, return_when=asyncio.FIRST_COMPLETED)
                if watching.done():
                    typing.cancel()
                    watching.result()
                if not (piece := await typing):
                    return
                for key in keys_in(piece):
                    decision = screen.press(key)
                    if isinstance(decision, Quit):
                        return
                    if decision is not None:
                        screen.notice = await _carry_out(machine, decision.verb, decision.thumbprint)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


async def _show_pictures(machine: LocalMachine, screen: Screen) -> None:
    from doorward.cli.notifications import notify
    from doorward.cli.watch_changes import Devices

    devices = Devices()
    async for clients in _pictures(machine):
        if clients is None:
            screen.see(())
            screen.notice = _NO_AGENT
        else:
            if screen.notice == _NO_AGENT:
                screen.notice = ""
            screen.see(clients)
            for change in devices.see(clients):
                if change.kind == "pending":
                    await notify(*_notification(change))
        _draw(screen)


async def _carry_out(machine: LocalMachine, verb: str, thumbprint: str) -> str:
    """Decide; the sentence about it. What fails is told, and the screen stays."""
    from doorward.cli.status import label_of
    from doorward.environment.local import VerbFailed

    try:
        client = await (machine.approve(thumbprint) if verb == "approve" else machine.reject(thumbprint))
    except VerbFailed as error:
        return str(error)
    if client is None:
        return "That device does not ask any more."
    return f"{label_of(client)} is let in." if verb == "approve" else f"{label_of(client)} is refused."


def _draw(screen: Screen) -> None:
    size = shutil.get_terminal_size()
    shown = screen.lines(size.columns, size.lines - 1)
    sys.stdout.write("\x1b[H" + "".join(f"{line}\x1b[K\r\n" for line in shown) + "\x1b[J")
    sys.stdout.flush()


@contextlib.contextmanager
def _whole_terminal() -> Iterator[None]:
    """The other screen of the terminal, keys as they are pressed; everything as it was afterwards, whatever happens."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    sys.stdout.write("\x1b[?1049h\x1b[?25l")
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        sys.stdout.write("\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()

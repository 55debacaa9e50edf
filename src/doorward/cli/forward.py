"""`doorward forward`: a remote service on a local port, for as long as this runs, whatever restarts meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from doorward.cli.machines import service_url
from doorward.cli.options import Number, home_option, json_option
from doorward.cli.output import event_json, plain, run

if TYPE_CHECKING:
    from doorward.client.errors import ClientError
    from doorward.client.live_connection import LiveConnection
    from doorward.client.relay import RelayClient
    from doorward.client.supervisor import State
    from doorward.t3_connect.messages import EnvironmentEntry, ServiceEntry


class Forwarding(msgspec.Struct, frozen=True):
    """Where the service is now."""

    url: str
    service: str


class WaitingFor(msgspec.Struct, frozen=True, rename="camel"):
    machine: str
    key_phrase: str


class Waiting(msgspec.Struct, frozen=True):
    """The machine's owner has to approve this device."""

    waiting: WaitingFor


class Reconnecting(msgspec.Struct, frozen=True, rename="camel"):
    """The connection was lost, or could not be made; it is tried again by itself."""

    reconnecting: str


class Connected(msgspec.Struct, frozen=True):
    """The connection is there again."""

    connected: str


@click.command("forward")
@click.argument("name")
@click.argument("local_port", type=Number(0, 65535), default=0)
@home_option
@json_option
def forward(name: str, local_port: int, home: Path | None, as_json: bool) -> None:
    """Serve a remote service on a local port.

    NAME is a service, or a machine that has one; LOCAL_PORT is on 127.0.0.1 (default: any free one).
    Runs until Ctrl-C, over every restart of the machine and the servers between.
    """
    run(_forward(name, local_port, home, as_json), as_json=as_json)


async def _forward(name: str, local_port: int, home: Path | None, as_json: bool) -> None:
    from doorward.cli.session import signed_in
    from doorward.client.connection import MachineConnection
    from doorward.client.device_key import load_device_key
    from doorward.client.environment_tokens import EnvironmentTokens
    from doorward.client.forward import Forwarder
    from doorward.client.live_connection import LiveConnection
    from doorward.listening import bind
    from doorward.outbound import tls_context
    from doorward.server.serve import stop_signal

    async with signed_in(home) as session:
        teller = _Teller(as_json)
        machine, service = await _found(session.relay, name, teller)
        url = service.url if service else await service_url(session.relay, name)
        listener = bind("127.0.0.1", local_port, option="LOCAL_PORT")
        key = load_device_key(session.home, machine.environment_id)
        connection = MachineConnection(
            session.outbound,
            session.relay,
            machine,
            key,
            clock=session.clock,
            tokens=EnvironmentTokens(machine.environment_id, key.public.thumbprint, home=session.home),
        )
        teller.know(machine.label, connection.key_phrase)
        live = LiveConnection(
            connection, tls=lambda: tls_context(session.ca_file), on_change=teller.state_changed
        )
        async with live.running():
            await _until_connected(live)
            forwarder = Forwarder(connection, live, url, tls=lambda: tls_context(session.ca_file))
            stopped = stop_signal()
            await forwarder.serve(listener)
            local = f"http://127.0.0.1:{listener.getsockname()[1]}"
            if as_json:
                event_json(Forwarding(url=local, service=url))
            else:
                print(f"{name} is at {local} until you press Ctrl-C.", flush=True)
            try:
                await _until_stopped(live, stopped)
            finally:
                await forwarder.close()


async def _found(
    relay: RelayClient, name: str, teller: _Teller
) -> tuple[EnvironmentEntry, ServiceEntry | None]:
    """What the relay knows by this name, as soon as it answers."""
    from doorward.client.errors import Unavailable
    from doorward.client.supervisor import retry_delay

    failures = 0
    while True:
        try:
            return await relay.find(name)
        except Unavailable as error:
            failures += 1
            teller.trying_again(error)
            await asyncio.sleep(retry_delay(failures))


async def _until_connected(live: LiveConnection) -> None:
    """Wait as long as waiting helps. Raises what only a person can mend."""
    while live.state.phase != "connected":
        _raise_if_hopeless(live.state)
        await live.changed(live.state)


async def _until_stopped(live: LiveConnection, stopped: asyncio.Event) -> None:
    stopping = asyncio.create_task(stopped.wait())
    try:
        while not stopping.done():
            _raise_if_hopeless(live.state)
            changing = asyncio.create_task(live.changed(live.state))
            await asyncio.wait({stopping, changing}, return_when=asyncio.FIRST_COMPLETED)
            changing.cancel()
    finally:
        stopping.cancel()


def _raise_if_hopeless(state: State) -> None:
    """Everything that blocks but the owner's decision needs another command first."""
    from doorward.client.errors import ApprovalPending

    if (
        state.phase == "blocked"
        and state.last_failure
        and not isinstance(state.last_failure, ApprovalPending)
    ):
        raise state.last_failure


class _Teller:
    """Says what is being waited for, once for as long as it is the same."""

    def __init__(self, as_json: bool) -> None:
        self._label = ""
        self._phrase = ""
        self._as_json = as_json
        self._told = ""

    def know(self, label: str, phrase: str) -> None:
        """Which machine it is, and this device's words there."""
        self._label = plain(label)
        self._phrase = phrase

    def trying_again(self, failure: ClientError) -> None:
        if self._told != str(failure):
            self._told = str(failure)
            self._say(Reconnecting(plain(self._told)), f"{plain(self._told)} Trying again until it answers.")

    def state_changed(self, state: State) -> None:
        from doorward.client.errors import ApprovalPending

        failure = state.last_failure
        if state.phase == "connected":
            if self._told:
                self._say(Connected(self._label), f"Connected to {self._label}.")
            self._told = ""
        elif failure is None or self._told == str(failure):
            return
        elif isinstance(failure, ApprovalPending):
            self._told = str(failure)
            self._say(
                Waiting(WaitingFor(self._label, self._phrase)),
                f"Waiting for approval on {self._label}. This device's key phrase:\n\n    {self._phrase}\n\n"
                "The same six words stand on the machine's Connections page. This command goes on by itself.",
            )
        elif state.phase == "backoff":
            self.trying_again(failure)

    def _say(self, event: msgspec.Struct, text: str) -> None:
        if self._as_json:
            event_json(event)
        else:
            print(text, flush=True)

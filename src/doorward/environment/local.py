"""The machine, to whoever owns its data folder: `async with open_machine(home) as machine`.

Where an agent runs, verbs go through its control socket, so that open pages, sockets and the tunnel hear of
them at once; else they are carried out directly on the data folder.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar, cast

import msgspec

from doorward.environment import verbs
from doorward.environment.app import create_environment
from doorward.environment.approvals.mode import SecurityMode
from doorward.environment.audit import AuditEntry
from doorward.environment.control import AgentUnreachable, VerbFailed, ask_agent, failed, watch_agent
from doorward.environment.environment import Environment
from doorward.environment.services import PublishedService
from doorward.environment.settings import EnvironmentSettings, Service
from doorward.environment.verbs import Status, UnlinkReport
from doorward.outbound import Outbound
from doorward.store import Clock, system_clock
from doorward.t3_connect.messages import ConnectClient

__all__ = ["AgentUnreachable", "LocalMachine", "Status", "UnlinkReport", "VerbFailed", "open_machine"]

T = TypeVar("T")

log = logging.getLogger(__name__)

ANSWER_SECONDS = 20.0
UNLINK_SECONDS = 5.0


class LocalMachine:
    """Every method raises VerbFailed with a stable code and a sentence."""

    def __init__(self, settings: EnvironmentSettings, *, outbound: Outbound, clock: Clock) -> None:
        self._settings = settings
        self._outbound = outbound
        self._clock = clock
        self._direct: Environment | None = None

    async def status(self) -> Status:
        return cast(Status, await self._ask(verbs.Ask()))

    async def security_mode(self) -> SecurityMode:
        """VerbFailed `security_mode_unreadable` when what is stored is not a mode."""
        return cast(SecurityMode, await self._ask(verbs.GetMode()))

    async def set_security_mode(self, mode: SecurityMode) -> None:
        """Works whatever is stored: this is the repair."""
        await self._ask(verbs.SetMode(mode))

    async def clients(self) -> Sequence[ConnectClient]:
        return cast(list[ConnectClient], await self._ask(verbs.ListClients()))

    async def watch(self) -> AsyncGenerator[Sequence[ConnectClient], None]:
        """Every device now, and again after every change, for as long as an agent runs. Raises AgentUnreachable."""
        async with contextlib.aclosing(watch_agent(self._settings.run_dir)) as answers:
            async for answer in answers:
                yield msgspec.json.decode(answer, type=list[ConnectClient])

    async def approve(
        self, thumbprint: str, *, role: Literal["standard", "administrator"] | None = None
    ) -> ConnectClient | None:
        """None when no device with this key asked."""
        return cast(ConnectClient | None, await self._ask(verbs.Approve(thumbprint, role)))

    async def reject(self, thumbprint: str) -> ConnectClient | None:
        return cast(ConnectClient | None, await self._ask(verbs.Reject(thumbprint)))

    async def revoke(self, thumbprint: str) -> bool:
        return cast(bool, await self._ask(verbs.Revoke(thumbprint)))

    async def services(self) -> Sequence[PublishedService]:
        return cast(tuple[PublishedService, ...], await self._ask(verbs.ListServices()))

    async def add_service(self, service: Service) -> PublishedService:
        """Where an agent runs it claims the name at once; its outcome shows in `services`."""
        return cast(PublishedService, await self._ask(verbs.AddService(service)))

    async def remove_service(self, name: str) -> bool:
        return cast(bool, await self._ask(verbs.RemoveService(name)))

    async def link(self) -> None:
        """Want the link from now on; an agent brings it about now, the next one at its start."""
        await self._ask(verbs.Connect())

    async def unlink(self, *, forget_sign_in: bool = False) -> UnlinkReport:
        """Undo the link here and at the relay. An agent that does not answer in 5 s is reported, not waited for."""
        request = verbs.Unlink(forget_sign_in)
        try:
            return cast(UnlinkReport, await self._through_agent(request, UNLINK_SECONDS))
        except AgentUnreachable:
            return cast(UnlinkReport, await self._directly(request))
        except (TimeoutError, VerbFailed) as error:
            log.warning(
                "the running agent did not undo its link: %s",
                str(error) or f"no answer within {UNLINK_SECONDS:g} s",
                extra={"operation": "live-server-unlink"},
            )
            report = cast(UnlinkReport, await self._directly(request))
            return msgspec.structs.replace(report, live="failed")

    async def one_time_link(self) -> str:
        """The URL that opens the owner's page, once. It works only while an agent runs."""
        return cast(str, await self._ask(verbs.OneTimeLink()))

    async def audit(self, limit: int = 100) -> Sequence[AuditEntry]:
        return cast(list[AuditEntry], await self._ask(verbs.ReadAudit(limit)))

    async def is_agent_running(self) -> bool:
        try:
            await self._through_agent(verbs.Ask(), ANSWER_SECONDS)
        except (AgentUnreachable, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        if self._direct is not None:
            await self._direct.stop()

    async def _ask(self, request: verbs.AnyRequest) -> object:
        try:
            return await self._through_agent(request, ANSWER_SECONDS)
        except AgentUnreachable:
            return await self._directly(request)
        except TimeoutError as error:
            raise VerbFailed(
                "agent_silent", "The agent does not answer. Stop it, or look at its log, and try again."
            ) from error

    async def _through_agent(self, request: verbs.AnyRequest, seconds: float) -> object:
        async with asyncio.timeout(seconds):
            answer = await ask_agent(self._settings.run_dir, request)
        return msgspec.json.decode(answer, type=verbs.RESULTS[type(request)])

    async def _directly(self, request: verbs.AnyRequest) -> object:
        try:
            environment = await self._opened()
            return await verbs.perform(environment, request, is_agent=False)
        except Exception as error:
            told = failed(error)
            raise VerbFailed(told.code, told.message) from error

    async def _opened(self) -> Environment:
        if self._direct is None:
            environment = await create_environment(self._settings, outbound=self._outbound, clock=self._clock)
            try:
                environment.link.load()
                await environment.services.load()
                # An environment made by us asks before it lets anybody in, whoever made it first.
                environment.modes.initialise("client-approval")
            except BaseException:
                await environment.stop()
                raise
            self._direct = environment
        return self._direct


@contextlib.asynccontextmanager
async def open_machine(
    home: Path,
    *,
    relay_url: str | None = None,
    accounts_origin: str | None = None,
    label: str = "this machine",
    port: int = 3773,
    ca_file: Path | None = None,
    clock: Clock = system_clock,
) -> AsyncIterator[LocalMachine]:
    """`relay_url` and `accounts_origin` are needed for undoing a link at the relay without an agent."""
    settings = EnvironmentSettings(
        home=home, label=label, port=port, relay_url=relay_url, accounts_origin=accounts_origin
    )
    outbound = Outbound(ca_file=ca_file)
    machine = LocalMachine(settings, outbound=outbound, clock=clock)
    try:
        yield machine
    finally:
        await machine.close()
        await outbound.close()

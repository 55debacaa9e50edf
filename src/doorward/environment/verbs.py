"""What the machine itself can be told to do: by the CLI, over the control socket, or directly on the data folder.

Each verb is a request struct; `perform` carries it out with the rights of the machine (`access.MACHINE`). The
same structs travel over the control socket, so an agent and a CLI beside it cannot drift apart.
"""

import os
from collections.abc import AsyncGenerator
from typing import Literal

import msgspec

from doorward.environment.access import MACHINE
from doorward.environment.api.views import connect_client
from doorward.environment.approvals.mode import SecurityMode
from doorward.environment.audit import AuditEntry
from doorward.environment.environment import Environment
from doorward.environment.link.undo import RelayOutcome
from doorward.environment.services import PublishedService
from doorward.environment.settings import Service
from doorward.environment.stream import CHANNEL, read_event
from doorward.environment.stream.events import ClientChanged, ClientRemoved
from doorward.t3_connect.messages import ConnectClient, EndpointRuntimeStatus


class Request(msgspec.Struct, frozen=True, tag_field="verb", tag=lambda name: name.lower()):
    """Base of the verbs."""


class Ask(Request, frozen=True):
    """How is this machine?"""


class GetMode(Request, frozen=True):
    pass


class SetMode(Request, frozen=True):
    mode: SecurityMode


class ListClients(Request, frozen=True):
    pass


class Approve(Request, frozen=True):
    thumbprint: str
    role: Literal["standard", "administrator"] | None = None


class Reject(Request, frozen=True):
    thumbprint: str


class Revoke(Request, frozen=True):
    thumbprint: str


class ListServices(Request, frozen=True):
    pass


class AddService(Request, frozen=True):
    service: Service


class RemoveService(Request, frozen=True):
    name: str


class Connect(Request, frozen=True):
    """Want the link from now on, and bring it about now where an agent runs."""


class Unlink(Request, frozen=True):
    forget_sign_in: bool = False


class OneTimeLink(Request, frozen=True):
    pass


class ReadAudit(Request, frozen=True):
    limit: int = 100


class WatchClients(Request, frozen=True):
    """Every device now, and again after every change, until the asking side hangs up. Only a running agent can."""


AnyRequest = (
    Ask
    | GetMode
    | SetMode
    | ListClients
    | Approve
    | Reject
    | Revoke
    | ListServices
    | AddService
    | RemoveService
    | Connect
    | Unlink
    | OneTimeLink
    | ReadAudit
)


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`connect_security_mode` None: unreadable. `tunnel`: the connector's own word, None where none runs; `tunnel_reason`
    is stable and `tunnel_message` a sentence, of what is in its way.

    `pid` is the agent's, None when the verb was carried out without one.
    """

    environment_id: str
    label: str
    desired: bool
    authenticated: bool
    linked: bool
    cloud_user_id: str | None
    relay_url: str | None
    connect_security_mode: SecurityMode | None
    endpoint_runtime_status: EndpointRuntimeStatus
    tunnel: str | None
    tunnel_reason: str
    tunnel_message: str
    link_failure: str | None
    api_origin: str | None
    remote_administration: bool
    services: tuple[PublishedService, ...]
    pid: int | None
    port: int


class UnlinkReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`live` says whether a running agent stopped its tunnel; `relay` what became of the relay's record."""

    live: Literal["stopped", "no_agent", "failed"]
    relay: RelayOutcome


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A verb that could not be carried out: a stable code and a sentence."""

    code: str
    message: str


async def perform(environment: Environment, request: AnyRequest, *, is_agent: bool) -> object:
    """Carry a verb out; its result. Raises what the services raise."""
    approvals, services = environment.approvals, environment.services
    match request:
        case Ask():
            return await _status(environment, is_agent=is_agent)
        case GetMode():
            return approvals.mode()
        case SetMode():
            await approvals.set_mode(MACHINE, request.mode)
            return request.mode
        case ListClients():
            return await _clients(environment)
        case Approve():
            approved = await approvals.approve(MACHINE, request.thumbprint, role=request.role)
            return None if approved is None else connect_client(approved)
        case Reject():
            rejected = await approvals.reject(MACHINE, request.thumbprint)
            return None if rejected is None else connect_client(rejected)
        case Revoke():
            return await approvals.revoke(MACHINE, request.thumbprint)
        case ListServices():
            return services.published()
        case AddService():
            return await environment.add_service(MACHINE, request.service)
        case RemoveService():
            return await environment.remove_service(MACHINE, request.name)
        case Connect():
            environment.link.want()
            environment.reconciler.trigger()
            return None
        case Unlink():
            return await _unlink(environment, request, is_agent=is_agent)
        case OneTimeLink():
            return await environment.pairing.one_time_link()
        case ReadAudit():
            return await environment.audit.recent(request.limit)


async def watch_clients(environment: Environment) -> AsyncGenerator[list[ConnectClient], None]:
    """What `WatchClients` answers: whole pictures, so that a reader that misses one ends up right."""
    async with environment.database.subscribe(CHANNEL) as payloads:
        yield await _clients(environment)
        async for payload in payloads:
            if isinstance(read_event(payload), ClientChanged | ClientRemoved | None):
                yield await _clients(environment)


async def _clients(environment: Environment) -> list[ConnectClient]:
    return [connect_client(client) for client in await environment.approvals.list(MACHINE)]


async def _status(environment: Environment, *, is_agent: bool) -> Status:
    state = environment.link.state(MACHINE)
    runtime = environment.supervisor.status
    connector = environment.supervisor.connector
    return Status(
        environment_id=environment.environment_id,
        label=environment.label,
        desired=environment.link.is_wanted(),
        authenticated=environment.tokens.is_stored(),
        linked=state.linked,
        cloud_user_id=state.cloud_user_id,
        relay_url=state.relay_url,
        connect_security_mode=state.connect_security_mode,
        endpoint_runtime_status=runtime,
        tunnel=None if connector is None else connector.state.word,
        tunnel_reason="" if connector is None else connector.state.reason,
        tunnel_message="" if connector is None else connector.state.message,
        link_failure=environment.reconciler.last_failure,
        api_origin=environment.link.api_origin(),
        remote_administration=environment.settings.remote_admin,
        services=environment.services.published(),
        pid=os.getpid() if is_agent else None,
        port=environment.port,
    )


async def _unlink(environment: Environment, request: Unlink, *, is_agent: bool) -> UnlinkReport:
    """On both sides; then, for logout, the sign-in, which was needed to tell the relay."""
    try:
        relay = await environment.unlink_everywhere(MACHINE)
    finally:
        if request.forget_sign_in:
            environment.tokens.remove()
    return UnlinkReport(live="stopped" if is_agent else "no_agent", relay=relay)


#: The shape of each verb's result, for the side that asks over the socket.
RESULTS: dict[type[Request], object] = {
    Ask: Status,
    GetMode: SecurityMode,
    SetMode: SecurityMode,
    ListClients: list[ConnectClient],
    Approve: ConnectClient | None,
    Reject: ConnectClient | None,
    Revoke: bool,
    ListServices: tuple[PublishedService, ...],
    AddService: PublishedService,
    RemoveService: bool,
    Connect: type(None),
    Unlink: UnlinkReport,
    OneTimeLink: str,
    ReadAudit: list[AuditEntry],
}

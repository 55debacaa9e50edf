"""`GET /ws`: the socket of T3 clients and of the owner's page (connect-environment §3.1, §3.3).

It ends when its session does: at once when the session is revoked, at the latest when it expires.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable
from contextlib import suppress
from typing import cast

import msgspec
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from doorward.environment.access import Action, Actor, Door, NotAllowed, require
from doorward.environment.api.auth_access import auth_access
from doorward.environment.api.doors import actor_of, cookie_of, credentials_of, is_own_page
from doorward.environment.api.failures import ONLY_HERE, environment_error
from doorward.environment.api.relay_client import install_relay_client
from doorward.environment.api.rpc import Methods, RpcConnection, RpcFailed, Stream, Unary
from doorward.environment.environment import Environment
from doorward.environment.link.errors import LinkRefused
from doorward.environment.sessions.authentication import AuthenticationFailed
from doorward.environment.sessions.ending import wait_until
from doorward.environment.sessions.store import Session
from doorward.t3_connect.messages import Descriptor, EnvironmentScope, ServerAuthDescriptor
from doorward.t3_connect.wire import Wire

log = logging.getLogger(__name__)

POLICY_VIOLATION = 1008

#: T3 Code's editor, terminals and projects: its clients ask for them as soon as they are connected.
ABSENT = (
    "assets.",
    "cloud.",
    "filesystem.",
    "git.",
    "orchestration.",
    "preview.",
    "previewAutomation.",
    "projects.",
    "review.",
    "server.",
    "shell.",
    "sourceControl.",
    "subscribe",
    "terminal.",
    "vcs.",
)


class EnvironmentAuthorizationError(
    msgspec.Struct, frozen=True, tag=True, tag_field="_tag", rename="camel", kw_only=True
):
    message: str
    required_scope: EnvironmentScope


class Observability(Wire, frozen=True, kw_only=True):
    logs_directory_path: str
    local_tracing_enabled: bool
    otlp_traces_enabled: bool
    otlp_metrics_enabled: bool


class NoSettings(Wire, frozen=True, kw_only=True):
    """An empty object: this environment has none of the editor's settings."""


class ServerConfig(Wire, frozen=True, kw_only=True):
    """The least a T3 client accepts before it regards itself as connected (Appendix B.6)."""

    environment: Descriptor
    auth: ServerAuthDescriptor
    cwd: str
    keybindings_config_path: str
    keybindings: tuple[()]
    issues: tuple[()]
    providers: tuple[()]
    available_editors: tuple[()]
    observability: Observability
    settings: NoSettings


async def serve(websocket: WebSocket, environment: Environment, door: Door) -> None:
    """One socket, from its upgrade request to its end."""
    try:
        session = await _authenticate(websocket, environment, door)
    except Exception as error:  # the outermost layer of the handshake
        answer = environment_error(error, failure="internal_error")
        await websocket.send_denial_response(
            Response(answer.body(), answer.status, media_type="application/json")
        )
        return
    ended = environment.endings.register(session.id)
    try:
        if await environment.sessions.find(session.id) is None:
            ended.set()  # it ended between the check above and the registration
        await websocket.accept()
        await _noted(environment.sessions.connected(session))
        try:
            await _converse(websocket, environment, door, session, ended)
        finally:
            await asyncio.shield(_noted(environment.sessions.disconnected(session)))
    finally:
        environment.endings.forget(session.id, ended)


async def _authenticate(websocket: WebSocket, environment: Environment, door: Door) -> Session:
    """A ticket decides alone; otherwise the header and cookie rules hold as everywhere."""
    ticket = websocket.query_params.get("wsTicket", "").strip()
    if ticket:
        session = await environment.authentication.session_of_ticket(ticket)
    else:
        session = await environment.authentication.authenticate(credentials_of(websocket, door))
        by_cookie = cookie_of(websocket, door) is not None
        if by_cookie and not is_own_page(websocket, environment, must_have_origin=True):
            # Browsers let any page open a socket with our cookie; only the Origin tells whose page it is.
            raise LinkRefused("forbidden", ONLY_HERE)
    if door == "tunnel" and not session.is_minted:
        raise AuthenticationFailed("invalid_credential", "a session made here came through the tunnel")
    return session


async def _converse(
    websocket: WebSocket, environment: Environment, door: Door, session: Session, ended: asyncio.Event
) -> None:
    connection = RpcConnection(
        methods_for(environment, actor_of(cast(HTTPConnection, websocket), environment, door, session)),
        websocket.send_text,
        absent=ABSENT,
    )
    seconds_left = (session.expires_at - environment.clock()) / 1000
    reading = asyncio.create_task(_read(websocket, connection), name="socket reader")
    ending = asyncio.create_task(wait_until(ended, timeout_seconds=seconds_left), name="socket ending")
    try:
        await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
        is_over = not reading.done()
    finally:
        for task in (reading, ending):
            task.cancel()
        await asyncio.gather(reading, ending, return_exceptions=True)
        with suppress(WebSocketDisconnect, RuntimeError):
            await connection.close()
    if is_over:
        with suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(POLICY_VIOLATION, "The session has ended.")


async def _read(websocket: WebSocket, connection: RpcConnection) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while await connection.receive(await websocket.receive_text()):
            pass


async def _noted(noting: Awaitable[None]) -> None:
    """A connection that could not be recorded is still a connection."""
    try:
        await noting
    except Exception:
        log.warning("a socket's connection could not be recorded", exc_info=True)


def methods_for(environment: Environment, actor: Actor) -> Methods:
    """What this caller can call. Methods check their own scope, so that a missing one is said by name."""

    async def get_config() -> object:
        if "orchestration:read" not in actor.scopes:
            raise _missing("orchestration:read")
        return server_config(environment)

    async def get_relay_client_status() -> object:
        _require_linking(actor)
        return environment.relay_client.status()

    return {
        "server.getConfig": Unary(get_config),
        "subscribeAuthAccess": Stream(lambda: _subscription(environment, actor)),
        "cloud.getRelayClientStatus": Unary(get_relay_client_status),
        "cloud.installRelayClient": Stream(lambda: _installation(environment, actor)),
    }


def _require_linking(actor: Actor) -> None:
    try:
        require(actor, Action.LINK)
    except NotAllowed as error:
        raise _missing("relay:write") from error


async def _installation(environment: Environment, actor: Actor) -> AsyncGenerator[object, None]:
    _require_linking(actor)
    async for value in install_relay_client(environment.relay_client):
        yield value


async def _subscription(environment: Environment, actor: Actor) -> AsyncGenerator[object, None]:
    try:
        require(actor, Action.SEE_DEVICES)
    except NotAllowed as error:
        # From where nothing may be listed, the scope is as good as missing.
        raise _missing("access:read") from error
    async for value in auth_access(environment, actor):
        yield value


def server_config(environment: Environment) -> ServerConfig:
    home = environment.settings.home
    return ServerConfig(
        environment=environment.descriptor,
        auth=environment.auth_descriptor,
        cwd=str(home),
        keybindings_config_path=str(home / "keybindings.json"),
        keybindings=(),
        issues=(),
        providers=(),
        available_editors=(),
        observability=Observability(
            logs_directory_path=str(environment.settings.state_dir / "logs"),
            local_tracing_enabled=False,
            otlp_traces_enabled=False,
            otlp_metrics_enabled=False,
        ),
        settings=NoSettings(),
    )


def _missing(scope: EnvironmentScope) -> RpcFailed:
    return RpcFailed(
        EnvironmentAuthorizationError(
            message=f"The authenticated token is missing required scope: {scope}.", required_scope=scope
        )
    )

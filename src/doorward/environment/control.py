"""The agent's control socket: one verb a line in, one answer a line out, JSON; to `watchclients` an answer after every change.

Whoever can open the socket owns the data folder: it is mode 0600 in a folder of mode 0700, and no listener of
the network leads to it.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import msgspec

from doorward.environment.environment import Environment
from doorward.environment.verbs import AnyRequest, Failed, WatchClients, perform, watch_clients
from doorward.store import StoreError

log = logging.getLogger(__name__)

SOCKET_NAME = "agent.sock"
MAX_LINE_BYTES = 64 * 1024
#: An answer carries at most a few hundred clients or audit entries.
MAX_ANSWER_BYTES = 4 * 1024 * 1024

_requests: msgspec.json.Decoder[AnyRequest | WatchClients] = msgspec.json.Decoder(AnyRequest | WatchClients)


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Exactly one of the two."""

    result: object = msgspec.UNSET
    error: Failed | msgspec.UnsetType = msgspec.UNSET


class RawAnswer(msgspec.Struct, frozen=True):
    """The same, as the asking side first reads it."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Failed | None = None


class AgentUnreachable(Exception):
    """No agent listens at the control socket, or it stopped in the middle of an answer."""

    code = "agent_unreachable"


@contextlib.asynccontextmanager
async def control_socket(environment: Environment, listener: socket.socket) -> AsyncIterator[None]:
    """Answer verbs on `listener` while the block runs."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                request = _read(line)
                if isinstance(request, WatchClients):
                    await _stream(environment, reader, writer)
                    return
                writer.write(msgspec.json.encode(await _answer(environment, request)) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.LimitOverrunError):
            log.debug("a control connection broke off")
        finally:
            writer.close()

    server = await asyncio.start_unix_server(converse, sock=listener, limit=MAX_LINE_BYTES)
    try:
        yield
    finally:
        server.close()


async def ask_agent(run_dir: Path, request: AnyRequest) -> bytes:
    """The JSON of the result. Raises AgentUnreachable, or VerbFailed with the agent's own words."""
    reader, writer = await _connected(run_dir)
    try:
        writer.write(msgspec.json.encode(request) + b"\n")
        await writer.drain()
        return _result(await reader.readline())
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise AgentUnreachable("The agent stopped before it answered.") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def watch_agent(run_dir: Path) -> AsyncGenerator[bytes, None]:
    """The JSON of every answer to `WatchClients`. Raises AgentUnreachable, also when the agent stops; VerbFailed."""
    reader, writer = await _connected(run_dir)
    try:
        writer.write(msgspec.json.encode(WatchClients()) + b"\n")
        await writer.drain()
        while line := await reader.readline():
            yield _result(line)
        raise AgentUnreachable("The agent stopped.")
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise AgentUnreachable("The agent stopped.") from error
    finally:
        writer.close()


async def _connected(run_dir: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        return await asyncio.open_unix_connection(str(run_dir / SOCKET_NAME), limit=MAX_ANSWER_BYTES)
    except (OSError, ValueError) as error:
        raise AgentUnreachable("No agent is running for this data folder.") from error


def _result(line: bytes) -> bytes:
    answer = msgspec.json.decode(line, type=RawAnswer)
    if answer.error is not None:
        raise VerbFailed(answer.error.code, answer.error.message)
    return bytes(answer.result)


class VerbFailed(Exception):
    """The verb was refused or failed; `code` is stable, the message says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def failed(error: Exception) -> Failed:
    """What the asking side hears of an error: ours have a code and a sentence, others only that they happened."""
    code = getattr(error, "code", None)
    if isinstance(code, str):
        return Failed(code=code, message=str(error))
    log.error("a verb failed", exc_info=error)
    return Failed(code="unexpected", message="The agent met an unexpected error; its log says more.")


def _read(line: bytes) -> AnyRequest | WatchClients | None:
    """None for what is no request."""
    try:
        return _requests.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


async def _answer(environment: Environment, request: AnyRequest | None) -> Answer:
    if request is None:
        return Answer(
            error=Failed(code="request_malformed", message="This is not a request the agent knows.")
        )
    try:
        return Answer(result=await perform(environment, request, is_agent=True))
    except Exception as error:  # whatever it is, the asking side hears of it
        return Answer(error=failed(error))


async def _stream(
    environment: Environment, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Tell of every change until the asking side hangs up or the agent stops."""

    async def tell() -> None:
        try:
            async with contextlib.aclosing(watch_clients(environment)) as pictures:
                async for clients in pictures:
                    writer.write(msgspec.json.encode(Answer(result=clients)) + b"\n")
                    await writer.drain()
        except StoreError as error:
            writer.write(msgspec.json.encode(Answer(error=failed(error))) + b"\n")

    waited_for = [
        asyncio.create_task(tell(), name="watch"),
        asyncio.create_task(reader.read(1), name="watcher hangs up"),
        asyncio.create_task(environment.is_stopping.wait(), name="agent stops"),
    ]
    try:
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waited_for:
            task.cancel()
        await asyncio.gather(*waited_for, return_exceptions=True)

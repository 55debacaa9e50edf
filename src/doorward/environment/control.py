"""The agent's control socket: one verb a line in, one answer a line out, JSON.

Whoever can open the socket owns the data folder: it is mode 0600 in a folder of mode 0700, and no listener of
the network leads to it.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from doorward.environment.environment import Environment
from doorward.environment.verbs import AnyRequest, Failed, perform

log = logging.getLogger(__name__)

SOCKET_NAME = "agent.sock"
MAX_LINE_BYTES = 64 * 1024
#: An answer carries at most a few hundred clients or audit entries.
MAX_ANSWER_BYTES = 4 * 1024 * 1024

_requests: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest)


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
                writer.write(msgspec.json.encode(await _answer(environment, line)) + b"\n")
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
    try:
        reader, writer = await asyncio.open_unix_connection(
            str(run_dir / SOCKET_NAME), limit=MAX_ANSWER_BYTES
        )
    except (OSError, ValueError) as error:
        raise AgentUnreachable("No agent is running for this data folder.") from error
    try:
        writer.write(msgspec.json.encode(request) + b"\n")
        await writer.drain()
        line = await reader.readline()
        answer = msgspec.json.decode(line, type=RawAnswer)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise AgentUnreachable("The agent stopped before it answered.") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
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


async def _answer(environment: Environment, line: bytes) -> Answer:
    try:
        request = _requests.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Answer(
            error=Failed(code="request_malformed", message="This is not a request the agent knows.")
        )
    try:
        return Answer(result=await perform(environment, request, is_agent=True))
    except Exception as error:  # whatever it is, the asking side hears of it
        return Answer(error=failed(error))

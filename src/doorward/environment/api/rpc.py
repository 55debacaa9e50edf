"""The RPC envelope of `/ws` (connect-environment §3.2): frames in, frames out, one task per request.

A stream sends one Chunk and waits for its Ack before the next, so that a slow page never makes us queue
without bound. Nothing here knows what the methods do.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

import msgspec

log = logging.getLogger(__name__)

MAX_OPEN_REQUESTS = 64


class Request(msgspec.Struct, frozen=True, tag=True, tag_field="_tag"):
    id: object
    tag: str
    payload: object = None


class Ack(msgspec.Struct, frozen=True, tag=True, tag_field="_tag", rename="camel"):
    request_id: object


class Interrupt(msgspec.Struct, frozen=True, tag=True, tag_field="_tag", rename="camel"):
    request_id: object


class Ping(msgspec.Struct, frozen=True, tag=True, tag_field="_tag"):
    pass


class Eof(msgspec.Struct, frozen=True, tag=True, tag_field="_tag"):
    pass


class Pong(msgspec.Struct, frozen=True, tag=True, tag_field="_tag"):
    pass


class Chunk(msgspec.Struct, frozen=True, tag=True, tag_field="_tag", rename="camel"):
    request_id: str
    values: tuple[object, ...]


class Defect(msgspec.Struct, frozen=True, tag=True, tag_field="_tag"):
    defect: object


class Fail(msgspec.Struct, frozen=True, tag=True, tag_field="_tag"):
    error: object


class Die(msgspec.Struct, frozen=True, tag=True, tag_field="_tag"):
    defect: object


class Interrupted(msgspec.Struct, frozen=True, tag="Interrupt", tag_field="_tag", rename="camel"):
    fiber_id: int = 0


class Success(msgspec.Struct, frozen=True, tag=True, tag_field="_tag"):
    value: object


class Failure(msgspec.Struct, frozen=True, tag=True, tag_field="_tag"):
    cause: tuple[Fail | Die | Interrupted, ...]


class Exit(msgspec.Struct, frozen=True, tag=True, tag_field="_tag", rename="camel"):
    request_id: str
    exit: Success | Failure


class Crash(msgspec.Struct, frozen=True):
    """What a client learns of a mistake of ours: its kind, never its text."""

    name: str
    message: str


class RpcFailed(Exception):
    """A declared failure of a method; `error` is a struct with a `_tag`."""

    code = "rpc_failed"

    def __init__(self, error: msgspec.Struct) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class Unary(msgspec.Struct, frozen=True):
    call: Callable[[], Awaitable[object]]


class Stream(msgspec.Struct, frozen=True):
    open: Callable[[], AsyncGenerator[object, None]]


Methods = Mapping[str, Unary | Stream]
ClientMessage = Request | Ack | Interrupt | Ping | Eof

_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_list_decoder: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


class RpcConnection:
    """One socket's conversation. `send` takes one text frame; `receive` is given each frame that came.

    `absent` are how methods begin that the protocol has and we have not: asking for one fails that request alone. Any
    other unknown method is a Defect, upon which a client gives up everything it has open on the socket.
    """

    def __init__(
        self, methods: Methods, send: Callable[[str], Awaitable[None]], *, absent: tuple[str, ...] = ()
    ) -> None:
        self._methods = methods
        self._absent = absent
        self._send = send
        self._running: dict[str, asyncio.Task[None]] = {}
        self._acks: dict[str, asyncio.Event] = {}

    async def receive(self, frame: str) -> bool:
        """Act on one frame: a message, or an array of them. False once the client said Eof."""
        try:
            parts = (
                _list_decoder.decode(frame)
                if frame.lstrip().startswith("[")
                else [msgspec.Raw(frame.encode())]
            )
        except (msgspec.DecodeError, UnicodeError):
            await self._tell(Defect("Invalid message"))
            return True
        for part in parts:
            try:
                message = _decoder.decode(part)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                await self._tell(Defect("Invalid message"))
                continue
            if isinstance(message, Eof):
                return False
            await self._act(message)
        return True

    async def close(self) -> None:
        """Stop everything that runs; nothing is sent any more."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _act(self, message: Request | Ack | Interrupt | Ping) -> None:
        match message:
            case Ping():
                await self._tell(Pong())
            case Ack():
                acknowledged = self._acks.get(str(message.request_id))
                if acknowledged is not None:
                    acknowledged.set()
            case Interrupt():
                task = self._running.get(str(message.request_id))
                if task is not None:
                    task.cancel()
            case Request():
                await self._begin(message)

    async def _begin(self, request: Request) -> None:
        if not isinstance(request.id, str) or not request.id.isdecimal():
            await self._tell(Defect(f"Invalid request id: {msgspec.json.encode(request.id).decode()[:80]}"))
            return
        method = self._methods.get(request.tag)
        if method is None:
            unknown = f"Unknown request tag: {request.tag[:80]}"
            is_absent = request.tag.startswith(self._absent) if self._absent else False
            await self._tell(Exit(request.id, Failure((Die(unknown),))) if is_absent else Defect(unknown))
            return
        if request.id in self._running or len(self._running) >= MAX_OPEN_REQUESTS:
            await self._tell(Defect(f"Invalid request id: {request.id[:80]} cannot be opened now"))
            return
        task = asyncio.create_task(self._run(request.id, method), name=f"rpc {request.tag}")
        self._running[request.id] = task
        task.add_done_callback(lambda _: self._running.pop(str(request.id), None))

    async def _run(self, request_id: str, method: Unary | Stream) -> None:
        try:
            if isinstance(method, Unary):
                value = await method.call()
            else:
                await self._stream(request_id, method)
                value = None
            ending: Success | Failure = Success(value)
        except RpcFailed as error:
            ending = Failure((Fail(error.error),))
        except asyncio.CancelledError:
            ending = Failure((Interrupted(),))
        except Exception as error:
            log.exception("a method of the socket failed")
            ending = Failure(
                (Die(Crash(name=type(error).__name__, message="An unexpected error occurred.")),)
            )
        await self._tell(Exit(request_id, ending))

    async def _stream(self, request_id: str, method: Stream) -> None:
        acknowledged = self._acks[request_id] = asyncio.Event()
        values = method.open()
        try:
            async for value in values:
                acknowledged.clear()
                await self._tell(Chunk(request_id, (value,)))
                await acknowledged.wait()
        finally:
            self._acks.pop(request_id, None)
            await values.aclose()

    async def _tell(self, message: msgspec.Struct) -> None:
        await self._send(msgspec.json.encode(message).decode())

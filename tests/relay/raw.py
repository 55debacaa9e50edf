"""HTTP by hand, for requests and answers that client libraries tidy up."""

import contextlib
from dataclasses import dataclass

from tests.http1.wire import client
from tests.relay.world import World


@dataclass(frozen=True)
class Raw:
    status: int
    headers: dict[str, str]
    body: bytes


async def send(
    world: World, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> Raw:
    """One request as spelled here, on a connection of its own. `content-type` is never added."""
    fields = {"host": "anything.example", **(headers or {}), "connection": "close"}
    if body is not None:
        fields["content-length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    async with client(world.port) as wire:
        # Whoever is refused at the head of a large body may be hung up on before the end of it.
        with contextlib.suppress(ConnectionError):
            await wire.send(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b""))
        answer = await wire.rest()
    head_bytes, _, rest = answer.partition(b"\r\n\r\n")
    status_line, *lines = head_bytes.decode("latin-1").split("\r\n")
    parsed = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines}
    return Raw(int(status_line.split(" ")[1]), parsed, rest)

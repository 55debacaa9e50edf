"""The Backend API as commands see it, whichever way it is reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import msgspec

PREFIX = "/api/v1"
#: Of a list that is read to its end.
WHOLE_PAGE = 100

ORGANIZATIONS_OFF = "organization_not_enabled_in_instance"
#: What to type where the API names an operation.
WAYS_OUT = {ORGANIZATIONS_OFF: "Here: `doorward orgs settings --on`."}

Query = Mapping[str, object | Sequence[object] | None]


class ApiRefused(Exception):
    """The server said no. `code` is the first error's."""

    def __init__(self, message: str, *, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class _Problem(msgspec.Struct):
    code: str = "failed"
    message: str = ""
    long_message: str = ""


class _Problems(msgspec.Struct):
    errors: list[_Problem] = []


class Transport(Protocol):
    async def send(
        self, method: str, target: str, *, body: bytes | None, key: str | None
    ) -> tuple[int, bytes]:
        """Status and body. `target` is path and query; `key` is used in place of the caller's own."""
        ...


class Api:
    """Resources are what the API wrote, as JSON values: what commands show, they show as it is."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        key: str | None = None,
    ) -> Any:
        """The answer, or None where there is none. Absent and None members of `query` are left out. Raises ApiRefused."""
        if "//" in path or path.endswith("/"):  # the list itself, or what is below nothing
            raise ApiRefused(
                "An empty text names nothing. Give a name or an id.", code="name_missing", status=404
            )
        given = {name: value for name, value in (query or {}).items() if value is not None and value != ()}
        text = urlencode({name: _written(value) for name, value in given.items()}, doseq=True)
        target = f"{PREFIX}{path}" + (f"?{text}" if text else "")
        encoded = None if body is None else msgspec.json.encode(body)
        status, answer = await self._transport.send(method, target, body=encoded, key=key)
        if not 200 <= status < 300:
            raise _refusal(status, answer)
        return msgspec.json.decode(answer) if answer else None

    async def every(self, path: str, query: Query | None = None) -> AsyncIterator[Any]:
        """Every member of a list, a page at a time; of a list that is no page its members."""
        offset = 0
        while True:
            asked = {**(query or {}), "limit": WHOLE_PAGE, "offset": offset, "paginated": True}
            answer = await self.ask("GET", path, query=asked)
            data = answer["data"] if isinstance(answer, dict) else answer
            for one in data:
                yield one
            offset += len(data)
            if not data or not isinstance(answer, dict) or offset >= answer.get("total_count", 0):
                return


def path_of(*parts: str) -> str:
    """A path whose parts are names of somebody else's choosing."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def given(**members: object) -> dict[str, object]:
    """A body of what was said; what was left out keeps its value or gets its default."""
    return {name: value for name, value in members.items() if value is not None and value != ()}


def _written(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _refusal(status: int, answer: bytes) -> ApiRefused:
    try:
        problems = msgspec.json.decode(answer, type=_Problems).errors
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problems = []
    if not problems:
        return ApiRefused(
            f"The server answers {status}, and not as a Backend API does. Is the URL that of the accounts server?",
            code="unexpected_answer",
            status=status,
        )
    sentences = [problem.long_message or problem.message for problem in problems]
    if status == 401:
        sentences.append(
            "Look at CLERK_SECRET_KEY or --secret-key-file; `doorward keys secret list` shows which keys count."
        )
    if way_out := WAYS_OUT.get(problems[0].code):
        sentences.append(way_out)
    return ApiRefused("\n".join(sentences), code=problems[0].code, status=status)

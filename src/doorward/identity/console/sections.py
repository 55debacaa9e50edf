"""What a section of the console is made of."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeAlias

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.errors import Refused

Page: TypeAlias = Callable[[Call], Awaitable[Response]]
PageRoute: TypeAlias = tuple[Literal["GET", "POST"], str, Page]
Group: TypeAlias = Literal["", "People", "Machines and keys", "Instance"]


class Section(msgspec.Struct, frozen=True):
    """`told` are the sentences a page may show once something was done, by the key in the address."""

    title: str
    path: str
    group: Group
    pages: tuple[PageRoute, ...]
    told: Mapping[str, str] = {}

    def holds(self, path: str) -> bool:
        """Whether a page of this section is at `path`."""
        return path == self.path or (self.path != "/admin" and path.startswith(f"{self.path}/"))


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked before something is done: `text` says what will happen, `action` is the word on the button."""

    title: str
    text: str
    action: str
    busy: str
    back: str
    facts: tuple[tuple[str, str], ...] = ()
    is_dangerous: bool = True


def asking(
    path: str,
    question: Callable[[Call], Awaitable[Question]],
    act: Page,
    *,
    needs_proof: bool = False,
) -> tuple[PageRoute, PageRoute]:
    """Looking at `path` asks, sending its form does it; a refusal is told above the question. `act` looks for itself at what
    it is about: the question is read again only where it is shown again."""

    async def show(call: Call) -> Response:
        if needs_proof:
            call.require_recent_proof()
        return call.form("question.html", None, question=await question(call))

    async def submit(call: Call) -> Response:
        if needs_proof:
            call.require_recent_proof()
        try:
            return await act(call)
        except Refused as refused:
            return call.form("question.html", None, refused, question=await question(call))

    return ("GET", path, show), ("POST", path, submit)

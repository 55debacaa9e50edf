"""The screen of `doorward watch`: pictures and keys in, lines and decisions out (pure).

Nobody is let in by a slip of the finger: rows never move under the selection, new ones join at the end, and letting in asks
once more with the six words large and alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from doorward.cli.output import plain
from doorward.cli.status import details_of, label_of
from doorward.jose import key_phrase

if TYPE_CHECKING:
    from doorward.t3_connect.messages import ConnectClient

EMPTY = "Nobody is waiting. A device that asks to be let in appears here at once."
HELP = "a lets the chosen device in, r refuses it, arrows choose, q quits."


@dataclass(frozen=True)
class Decide:
    """Carry this out."""

    verb: Literal["approve", "reject"]
    thumbprint: str


@dataclass(frozen=True)
class Quit:
    """Leave."""


class Screen:
    """`notice` is a sentence about what happened last."""

    def __init__(self, *, is_bold: bool = False) -> None:
        self._waiting: dict[str, ConnectClient] = {}
        self._chosen: str | None = None
        self._asked: str | None = None
        self._bold = ("\x1b[1m", "\x1b[22m") if is_bold else ("", "")
        self.notice = ""

    def see(self, clients: Sequence[ConnectClient]) -> None:
        """A new picture: who waited before keeps their place, who came since follows."""
        pending = {
            client.client_proof_key_thumbprint: client
            for client in sorted(clients, key=lambda client: client.requested_at)
            if client.status == "pending"
        }
        order = [key for key in self._waiting if key in pending]
        order += [key for key in pending if key not in self._waiting]
        if self._chosen not in pending:
            place = list(self._waiting).index(self._chosen) if self._chosen in self._waiting else 0
            self._chosen = order[min(place, len(order) - 1)] if order else None
        if self._asked not in pending:
            self._asked = None
        self._waiting = {key: pending[key] for key in order}

    def press(self, key: str) -> Decide | Quit | None:
        """One key: a character, `up` or `down`."""
        if self._asked is not None:
            asked, self._asked = self._asked, None
            return Decide("approve", asked) if key == "y" else None
        if key == "q":
            return Quit()
        if self._chosen is None:
            return None
        order = list(self._waiting)
        place = order.index(self._chosen)
        match key:
            case "up" | "k":
                self._chosen = order[max(0, place - 1)]
            case "down" | "j":
                self._chosen = order[min(len(order) - 1, place + 1)]
            case "a":
                self._asked = self._chosen
            case "r":
                return Decide("reject", self._chosen)
        return None

    def lines(self, width: int, height: int) -> list[str]:
        """What to show, in at most `height` lines of at most `width` characters; a key phrase is never shortened."""
        if self._asked is not None:
            return self._question(self._waiting[self._asked], width)
        notice = ["", _cut(self.notice, width)] if self.notice else []
        end = [*notice, "", _cut(HELP if self._waiting else "q quits.", width)]
        begin = [self._strong("Devices that ask to be let in"), ""]
        if not self._waiting:
            return [*begin, _cut(EMPTY, width), *end]
        return [*begin, *self._rows(width, height - len(begin) - len(end)), *end]

    def _rows(self, width: int, height: int) -> list[str]:
        """As many devices as fit, the chosen one among them, and how many do not."""
        rows = [self._row(key, client, width) for key, client in self._waiting.items()]
        fitting = max(1, (height - 1) // len(rows[0]))
        place = list(self._waiting).index(self._chosen) if self._chosen is not None else 0
        first = max(0, place - fitting + 1)
        shown = [line for row in rows[first : first + fitting] for line in row]
        hidden = len(rows) - min(fitting, len(rows))
        return [*shown, f"  {hidden} more"] if hidden else shown

    def _row(self, key: str, client: ConnectClient, width: int) -> list[str]:
        mark = ">" if key == self._chosen else " "
        told = _cut(f"{mark} {label_of(client)} ({', '.join(details_of(client))})", width)
        return [told, *(f"    {part}" for part in _wrapped(key_phrase(key), width - 4))]

    def _question(self, client: ConnectClient, width: int) -> list[str]:
        phrase = _wrapped(key_phrase(client.client_proof_key_thumbprint), width - 4)
        return [
            _cut(f"Let {label_of(client)} in? It must show these six words:", width),
            "",
            *(f"    {self._strong(part)}" for part in phrase),
            "",
            _cut("y lets it in; any other key goes back.", width),
        ]

    def _strong(self, text: str) -> str:
        return f"{self._bold[0]}{text}{self._bold[1]}"


def keys_in(piece: bytes) -> list[str]:
    """The keys of what a terminal sent at once; sequences that mean nothing here are passed over."""
    text = piece.decode("utf-8", "replace")
    found, place = [], 0
    while place < len(text):
        if text[place] == "\x1b":
            sequence = text[place : place + 3]
            found += {"\x1b[A": ["up"], "\x1b[B": ["down"], "\x1bOA": ["up"], "\x1bOB": ["down"]}.get(
                sequence, []
            )
            place += 3
            continue
        found.append(text[place].lower())
        place += 1
    return found


def _wrapped(phrase: str, width: int) -> list[str]:
    words = phrase.split(" ")
    return [phrase] if len(phrase) <= width else [" ".join(words[:3]), " ".join(words[3:])]


def _cut(text: str, width: int) -> str:
    shown = plain(text)
    return shown if len(shown) <= width else shown[: max(0, width - 1)] + "…"

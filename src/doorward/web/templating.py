"""The Jinja environment all pages share."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def templates(*packages: str) -> "Environment":
    """An environment over `templates/` of `packages`, then of this room.

    Escaping is on for every template and an unknown name is an error, not an empty string. Jinja is imported
    here because a server has answered its first requests long before anyone asks for a page.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    from doorward.web.compiled import COMPILED

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, "doorward.web")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=COMPILED,
    )
    environment.filters["iso"] = iso_time
    environment.filters["readable"] = readable_time
    environment.filters["words"] = phrase_words
    return environment


def iso_time(milliseconds: int) -> str:
    """Milliseconds since the epoch as `2026-11-20T19:22:28Z`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def readable_time(milliseconds: int) -> str:
    """Milliseconds since the epoch as `20 Nov 2026, 19:22 UTC`, what a reader without scripts sees."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"


def phrase_words(phrase: str | Iterable[str]) -> list[str]:
    """The words of a key phrase. Raises ValueError unless there are six: a shortened phrase proves nothing."""
    words = phrase.split() if isinstance(phrase, str) else list(phrase)
    if len(words) != 6:
        raise ValueError(f"a key phrase has six words, not {len(words)}")
    return words

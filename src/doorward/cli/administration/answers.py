"""What commands print: a page of a list, one thing, or what was done to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from doorward.cli.administration.api import Query
from doorward.cli.administration.options import Target
from doorward.cli.administration.tables import Column, Record, details, table, told
from doorward.cli.output import answer_json

#: Members that say nothing to a person: what kind of thing it is, and what the others say already.
_LEFT_OUT = frozenset({"object", "clerk_trace_id"})


@dataclass(frozen=True)
class Page:
    """`total` is None where the server does not count."""

    records: Sequence[Record]
    total: int | None
    limit: int
    offset: int

    @classmethod
    def of(cls, answer: Any, query: Query, members: str = "data") -> Page:
        """From a list's answer and what was asked for."""
        limit, offset = int(str(query.get("limit") or 0)), int(str(query.get("offset") or 0))
        if isinstance(answer, list):
            return cls(answer, None, limit, offset)
        return cls(answer[members], answer["total_count"], limit, offset)


def answer_page(target: Target, answer: Any, page: Page, columns: Sequence[Column], *, nothing: str) -> None:
    """A table, and how to see more; for programs what the API answered."""
    if target.as_json:
        answer_json(answer)
    elif not page.records:
        print(nothing)
    else:
        print(table(columns, page.records))
        if more := _more(page):
            print(f"\n{more}")


def answer_record(target: Target, record: Record, *, shown: Sequence[tuple[str, str]] = ()) -> None:
    """Every member that has a value, after those of `shown`, which are told in words of their own."""
    if target.as_json:
        answer_json(record)
        return
    members = [*shown, *_members(record, {name for name, _ in shown})]
    print(details(members))


def answer_change(
    target: Target, record: Any, sentence: str, *, secret: tuple[str, str] | None = None
) -> None:
    """What was done; `secret` is a name and a value that is shown now and never again."""
    if target.as_json:
        answer_json(record)
        return
    print(sentence)
    if secret is not None:
        print(
            f"\n  {secret[1]}\n\nThis {secret[0]} is shown this once. Keep it where only those read it who need it."
        )


def _more(page: Page) -> str:
    seen = page.offset + len(page.records)
    if page.total is not None and seen < page.total:
        return f"{page.offset + 1} to {seen} of {page.total:,}. More: --offset {seen}"
    if page.total is None and page.limit and len(page.records) == page.limit:
        return f"There may be more: --offset {seen}"
    return ""


def _members(record: Record, told_already: set[str]) -> list[tuple[str, str]]:
    found = []
    for name, value in record.items():
        label = name.replace("_", " ").capitalize()
        if name in _LEFT_OUT or label in told_already or value is None or value in ("", [], {}):
            continue
        found.append((label, told(name, value)))
    return found

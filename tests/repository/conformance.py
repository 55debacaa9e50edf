"""The statements of docs/compatibility/*.md, and the tests that prove them.

A page lists `- **12** A statement.`, or `- **12** (not yet: <reason>) A statement.`, or
`- **12** (elsewhere: <where>) A statement.`; a test says `@pytest.mark.conformance("relay-page", 12)`. The marks are read
from the sources, not from a run: a statement does not count as proved because its test was skipped here and there.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_STATEMENT = re.compile(r"^- \*\*(\d+)\*\*\s*(.*)$")
_EXCUSE = re.compile(r"\((not yet|elsewhere): [^)]*\S[^)]*\)\s*\S")


@dataclass(frozen=True)
class Statement:
    document: str
    number: int
    is_excused: bool
    text: str


@dataclass(frozen=True)
class Mark:
    document: str
    number: int
    where: str


def statements_of(page: Path) -> list[Statement]:
    """Every numbered line of a page, in order, duplicates included."""
    matches = (_STATEMENT.match(line) for line in page.read_text().splitlines())
    return [
        Statement(page.stem, int(match[1]), bool(_EXCUSE.match(match[2])), match[2].strip())
        for match in matches
        if match
    ]


def marks_in(source: Path) -> Iterator[Mark]:
    """The conformance marks on tests, on classes of tests, on parameters, and in `pytestmark`."""
    for node in ast.walk(ast.parse(source.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "conformance"
            and ast.unparse(node.func).endswith("mark.conformance")
        ):
            where = f"{source}:{node.lineno}"
            values = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if len(values) != len(node.args) or len(values) < 2 or not isinstance(values[0], str):
                raise ValueError(f"{where}: a conformance mark takes a page and numbers, written out")
            numbers = [value for value in values[1:] if isinstance(value, int)]
            if len(numbers) != len(values) - 1:
                raise ValueError(f"{where}: the statements of {values[0]} are named by whole numbers")
            yield from (Mark(values[0], number, where) for number in numbers)

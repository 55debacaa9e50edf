"""Each statement we publish about compatibility is proved by a test, or says why not."""

from functools import cache
from pathlib import Path

import pytest

from tests.repository.conformance import Mark, Statement, marks_in, statements_of
from tests.repository.tracked import ROOT, tracked_files

#: One process reads the sources, once.
pytestmark = pytest.mark.xdist_group("conformance")

PAGES = sorted((ROOT / "docs" / "compatibility").glob("*.md"))


@cache
def all_marks() -> list[Mark]:
    sources = [path for path in tracked_files() if path.parts[0] == "tests" and path.suffix == ".py"]
    return [mark for source in sources for mark in marks_in(ROOT / source)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_statement_of_a_page_is_proved_or_says_why_not(page: Path) -> None:
    statements = statements_of(page)
    proved = {mark.number for mark in all_marks() if mark.document == page.stem}
    assert [f"{s.number}: {s.text}" for s in statements if s.number not in proved and not s.is_excused] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_numbers_each_statement_once_and_leaves_none_empty(page: Path) -> None:
    statements = statements_of(page)
    numbers = [statement.number for statement in statements]
    assert statements, "a compatibility page holds lines such as `- **1** A statement.`"
    assert sorted({number for number in numbers if numbers.count(number) > 1}) == []
    assert [statement.number for statement in statements if not statement.text] == []


def test_every_mark_names_a_statement_that_is_on_its_page() -> None:
    known = {(statement.document, statement.number) for page in PAGES for statement in statements_of(page)}
    unknown = [mark for mark in all_marks() if (mark.document, mark.number) not in known]
    assert [f"{mark.where}: {mark.document} {mark.number}" for mark in unknown] == []


def test_statements_are_read_with_their_excuses(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n- **1** Proved.\n- **2** (not yet: needs paging) Pages.\n- **3** (elsewhere: the tunnel's page) Bytes.\n"
        "- **4** (not yet: ) No reason.\n- **5** (not yet: no statement)\n- a plain line\n"
    )
    assert statements_of(page) == [
        Statement("page", 1, False, "Proved."),
        Statement("page", 2, True, "(not yet: needs paging) Pages."),
        Statement("page", 3, True, "(elsewhere: the tunnel's page) Bytes."),
        Statement("page", 4, False, "(not yet: ) No reason."),
        Statement("page", 5, False, "(not yet: no statement)"),
    ]


def test_marks_are_read_wherever_pytest_takes_them(tmp_path: Path) -> None:
    source = tmp_path / "test_it.py"
    source.write_text(
        "import pytest\n"
        'pytestmark = pytest.mark.conformance("a", 1)\n'
        '@pytest.mark.conformance("a", 2, 3)\n'
        "def test_one(): ...\n"
        '@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.conformance("b", 4))])\n'
        "def test_two(x): ...\n"
    )
    assert {(mark.document, mark.number) for mark in marks_in(source)} == {
        ("a", 1),
        ("a", 2),
        ("a", 3),
        ("b", 4),
    }
    for wrong in ('("a")', "(NAME, 1)", '("a", "1")', '("a", *NUMBERS)'):
        source.write_text(f"import pytest\n@pytest.mark.conformance{wrong}\ndef test_it(): ...\n")
        with pytest.raises(ValueError, match=r"test_it\.py:2"):
            list(marks_in(source))

import re
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.store import TransactionMisused
from doorward.store.statements import for_postgresql, for_sqlite


@pytest.mark.parametrize(
    ("written", "runs"),
    [
        ("SELECT ?", b"SELECT $1"),
        ("SELECT '?', ?", b"SELECT '?', $1"),
        ("SELECT 'it''s ?' || ?", b"SELECT 'it''s ?' || $1"),
        ('SELECT "a?b" FROM t WHERE x = ?', b'SELECT "a?b" FROM t WHERE x = $1'),
        ("SELECT ? -- really?\n, ?", b"SELECT $1 -- really?\n, $2"),
        ("SELECT /* ? ' */ ?", b"SELECT /* ? ' */ $1"),
        ("SELECT x % 2, 'a%' LIKE ?", b"SELECT x % 2, 'a%' LIKE $1"),
    ],
)
def test_a_question_mark_is_a_placeholder_only_where_sql_says_so(written: str, runs: bytes) -> None:
    assert for_postgresql(written) == runs
    assert for_sqlite(written) == written


def numbers(sql: str) -> list[int]:
    """Of the placeholders PostgreSQL sees; `sql` has no $ of its own."""
    return [int(number) for number in re.findall(rb"\$(\d+)", for_postgresql(sql))]


def questions(sql: str) -> str:
    """The translation, translated back."""
    return re.sub(rb"\$\d+", b"?", for_postgresql(sql)).decode()


PIECES = st.sampled_from(
    ["?", "%", "%s", "'?'", "'a''?'", '"?"', "'%'", "-- ?'\n", '/* ?" */', " ", "x", ",", "=", "''", "'\\'"]
)


@given(st.lists(PIECES).map(lambda pieces: ["SELECT ", *pieces]))
def test_placeholders_are_counted_the_same_on_both_engines(pieces: list[str]) -> None:
    sql = " ".join(pieces)
    assert numbers(sql) == [*range(1, pieces.count("?") + 1)]
    assert questions(sql) == sql


@given(st.lists(st.sampled_from(["?", "'?'", "'a''?'", "1", "'%'", "/* ? */ 1", '"?"']), min_size=1))
def test_sqlite_itself_finds_as_many_placeholders(terms: list[str]) -> None:
    sql = "SELECT " + ", ".join(terms) + ' FROM (SELECT 1 AS "?")'
    marks = len(numbers(sql))
    connection = sqlite3.connect(":memory:")
    try:
        assert len(connection.execute(sql, ("v",) * marks).fetchone()) == len(terms)
    finally:
        connection.close()


@given(st.text(st.characters(exclude_characters="$", exclude_categories=["Cs"])))
def test_any_text_is_either_refused_or_comes_back_from_its_translation(sql: str) -> None:
    try:
        assert questions(sql) == sql
    except TransactionMisused:
        return


@pytest.mark.parametrize("sql", ["SELECT ?1", "SELECT ?, ?2"])
def test_numbered_placeholders_are_refused(sql: str) -> None:
    for translate in (for_sqlite, for_postgresql):
        with pytest.raises(TransactionMisused, match="numbered"):
            translate(sql)

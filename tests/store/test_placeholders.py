import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.store import TransactionMisused
from doorward.store.statements import for_postgresql, for_sqlite


@pytest.mark.parametrize(
    ("written", "runs"),
    [
        ("SELECT ?", "SELECT %s"),
        ("SELECT '?', ?", "SELECT '?', %s"),
        ("SELECT 'it''s ?' || ?", "SELECT 'it''s ?' || %s"),
        ('SELECT "a?b" FROM t WHERE x = ?', 'SELECT "a?b" FROM t WHERE x = %s'),
        ("SELECT ? -- really?\n, ?", "SELECT %s -- really?\n, %s"),
        ("SELECT /* ? ' */ ?", "SELECT /* ? ' */ %s"),
        ("SELECT x % 2, 'a%' LIKE ?", "SELECT x %% 2, 'a%%' LIKE %s"),
    ],
)
def test_a_question_mark_is_a_placeholder_only_where_sql_says_so(written: str, runs: str) -> None:
    assert for_postgresql(written) == runs
    assert for_sqlite(written) == written


PIECES = st.sampled_from(
    ["?", "%", "%s", "'?'", "'a''?'", '"?"', "'%'", "-- ?'\n", '/* ?" */', " ", "x", ",", "=", "''", "'\\'"]
)


@given(st.lists(PIECES).map(lambda pieces: ["SELECT ", *pieces]))
def test_placeholders_are_counted_the_same_on_both_engines(pieces: list[str]) -> None:
    # psycopg reads %s as a placeholder and %% as a percent sign, wherever they stand, quotes or not.
    sql = " ".join(pieces)
    runs = for_postgresql(sql)
    assert runs.replace("%%", "").count("%") == runs.replace("%%", "").count("%s") == pieces.count("?")
    assert runs.replace("%%", "\0").replace("%s", "?").replace("\0", "%") == sql


@given(st.lists(st.sampled_from(["?", "'?'", "'a''?'", "1", "'%'", "/* ? */ 1", '"?"']), min_size=1))
def test_sqlite_itself_finds_as_many_placeholders(terms: list[str]) -> None:
    sql = "SELECT " + ", ".join(terms) + ' FROM (SELECT 1 AS "?")'
    marks = for_postgresql(sql).replace("%%", "").count("%s")
    connection = sqlite3.connect(":memory:")
    try:
        assert len(connection.execute(sql, ("v",) * marks).fetchone()) == len(terms)
    finally:
        connection.close()


@given(st.text())
def test_any_text_is_either_refused_or_comes_back_from_its_translation(sql: str) -> None:
    try:
        runs = for_postgresql(sql)
    except TransactionMisused:
        return
    assert (
        runs.replace("%%", "\0").replace("%s", "?").replace("\0", "%") == sql.replace("\0", "%")
        or "\0" in sql
    )


@pytest.mark.parametrize("sql", ["SELECT ?1", "SELECT ?, ?2"])
def test_numbered_placeholders_are_refused(sql: str) -> None:
    for translate in (for_sqlite, for_postgresql):
        with pytest.raises(TransactionMisused, match="numbered"):
            translate(sql)

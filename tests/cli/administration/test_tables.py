"""Tables fit a terminal, and what others call themselves stays text."""

from __future__ import annotations

import sys

import pytest

from doorward.cli.administration.tables import Column, table, told, width_of

COLUMNS = (Column("User", "id", is_whole=True), Column("E-mail address", "mail"), Column("Name", "name"))
ADA = {
    "id": "user_" + "x" * 27,
    "mail": "a.very.long.address.of.somebody@subdomain.example.com",
    "name": "Ada",
}


@pytest.mark.parametrize("width", [80, 200])
def test_a_line_is_no_wider_than_the_terminal_and_ids_are_whole(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    lines = table(COLUMNS, [ADA, {**ADA, "name": "漢字" * 20}]).splitlines()
    assert all(width_of(line) <= width for line in lines)
    assert all(ADA["id"] in line for line in lines[1:])
    assert ("…" in lines[1]) == (width == 80)


def test_elsewhere_nothing_is_cut() -> None:
    assert ADA["mail"] in table(COLUMNS, [ADA])


def test_foreign_words_lose_what_a_terminal_acts_upon() -> None:
    shown = table(COLUMNS, [{**ADA, "name": "\x1b[2Jowned\u202e\r\n"}])
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2


def test_members_are_told_in_words() -> None:
    assert told("created_at", 1_700_000_000_000) == "2023-11-14 22:13:20 UTC"
    assert told("created_at", 1_700_000_000_000, is_brief=True) == "2023-11-14"
    assert told("default_token_ttl", 3600) == "3600"
    assert (told("banned", True), told("scopes", ["a", "b"]), told("metadata", {"a": 1})) == (
        "yes",
        "a, b",
        '{"a":1}',
    )

"""`.env` files: read as other tools read them, and one line changed without touching the others."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doorward.server.dotenv import EnvFileUnusable, read_variables, set_variable

URL = "https://relay.example.com"


def test_lines_are_read_as_other_tools_read_them(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(
        "# a comment\nPLAIN=one\nexport EXPORTED=two\n QUOTED = \"th ree # here\" # not here\nSINGLE='four'\n"
        "COMMENTED=five # six\nHASH=a#b\nEMPTY=\nTWICE=old\nTWICE=new\nnot a line\n"
    )
    assert read_variables(path) == {
        "PLAIN": "one", "EXPORTED": "two", "QUOTED": "th ree # here", "SINGLE": "four", "COMMENTED": "five",
        "HASH": "a#b", "EMPTY": "", "TWICE": "new",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "T3CODE_RELAY_URL={url}\n"),
        ("A=1\n", "A=1\nT3CODE_RELAY_URL={url}\n"),
        ("A=1", "A=1\nT3CODE_RELAY_URL={url}\n"),
        ("A=1\r\nB=2\r\n", "A=1\r\nB=2\r\nT3CODE_RELAY_URL={url}\r\n"),
        ("A=1\nT3CODE_RELAY_URL=old # why\n\n# end", "A=1\nT3CODE_RELAY_URL={url}\n\n# end"),
        ("export T3CODE_RELAY_URL='old'\r\nB=2\r\n", "T3CODE_RELAY_URL={url}\r\nB=2\r\n"),
        ("T3CODE_RELAY_URL=old", "T3CODE_RELAY_URL={url}"),
        ("#T3CODE_RELAY_URL=off\n", "#T3CODE_RELAY_URL=off\nT3CODE_RELAY_URL={url}\n"),
        ("T3CODE_RELAY_URL=1\nT3CODE_RELAY_URL=2\n", "T3CODE_RELAY_URL=1\nT3CODE_RELAY_URL={url}\n"),
    ],
)
def test_one_line_changes_and_the_others_stay(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes(before.encode())
    set_variable(path, "T3CODE_RELAY_URL", URL)
    assert path.read_bytes().decode() == after.replace("{url}", URL)
    assert read_variables(path)["T3CODE_RELAY_URL"] == URL


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8")))
def test_whatever_a_file_holds_stays_in_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes(text.encode())
    set_variable(path, "ADDED_BY_US", "x")
    assert path.read_bytes().decode().startswith(text)
    assert read_variables(path)["ADDED_BY_US"] == "x"


def test_a_file_that_was_not_there_is_the_owners_alone(tmp_path: Path) -> None:
    set_variable(tmp_path / ".env", "A", "1")
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_mode_and_link_are_kept_and_no_draft_is_left(tmp_path: Path) -> None:
    real, link = tmp_path / "shared.env", tmp_path / "project" / ".env"
    link.parent.mkdir()
    real.write_text("A=1\n")
    real.chmod(0o640)
    link.symlink_to(real)
    set_variable(link, "A", "2")
    assert link.is_symlink()
    assert real.read_text() == "A=2\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["project", "shared.env"]


def test_a_value_that_would_need_quotes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="as it is"):
        set_variable(tmp_path / ".env", "A", "two words")


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvFileUnusable, match="absent"):
        read_variables(tmp_path / "absent")
    (tmp_path / "latin").write_bytes(b"A=\xff")
    with pytest.raises(EnvFileUnusable, match="UTF-8"):
        set_variable(tmp_path / "latin", "A", "1")
    assert (tmp_path / "latin").read_bytes() == b"A=\xff"

"""What is said before a command does anything: its help, as a terminal of 80 columns shows it, and what was typed wrongly."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from doorward.cli import program


def every(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        # Whether `connect` is listed depends on the folder of whoever runs the tests.
        for name in {*command.list_commands(context), *(["connect"] if command is program else [])}:
            below = command.get_command(context, name)
            assert below is not None
            yield from every(below, *path, name)


def helped(*path: str) -> list[str]:
    answer = CliRunner().invoke(program, [*path, "--help"], terminal_width=80)
    assert answer.exit_code == 0
    return answer.output.splitlines()


def test_no_help_is_wider_than_the_terminal_or_cut_off() -> None:
    paths = sorted(every(program))
    assert len(paths) > 100
    shown = [(" ".join(path), line) for path in paths for line in helped(*path) if "Usage:" not in line]
    assert [one for one in shown if len(one[1]) > 80 or one[1].endswith(("...", "…"))] == []


@pytest.mark.parametrize(
    "words",
    [
        ("users", "show", "\udcff"),
        ("users", "create", "ada@example.com", "--public-metadata", "\udcff\udcfe"),
        ("backup", "\udcff"),
        ("connect", "security", "approve", "\udcff"),
    ],
)
def test_what_is_no_text_is_no_argument(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(program, words)
    assert answer.exit_code == 2
    assert "is not UTF-8 text" in answer.stderr


@pytest.mark.parametrize(
    "words", [("expose", "abc"), ("forward", "notes", "abc"), ("users", "list", "--limit", "abc")]
)
def test_a_number_is_called_a_number(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(program, words)
    assert answer.exit_code == 2
    assert "'abc' is not a valid number." in answer.stderr


@pytest.mark.parametrize("option", ["--hasura", "--triplit"])
def test_doctor_reads_texts_only(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_bytes(b"\x7fELF\xd0\xff")
    answer = CliRunner().invoke(program, ["doctor", "token", "x", option, str(tmp_path / "file")])
    assert answer.exit_code == 2
    assert "is not UTF-8 text" in answer.stderr


@pytest.mark.parametrize("path", [("templates", "create"), ("templates", "update")])
def test_a_paragraph_is_one(path: tuple[str, ...]) -> None:
    lines = helped(*path)
    told = " ".join(line.strip() for line in lines[: lines.index("Options:")])
    assert "of which all but the first two may be missing" in told

"""Whoever follows a message, a page or the documentation finds the command it names."""

import re
from collections.abc import Iterator

import click
import pytest

from doorward.cli import program
from doorward.cli.commands import COMMANDS
from tests.repository.tracked import ROOT

SOURCES = sorted(
    path
    for pattern in (
        "src/doorward/**/*.py",
        "src/doorward/**/*.html",
        "src/doorward/**/*.js",
        "docs/*.md",
        "*.md",
    )
    for path in ROOT.glob(pattern)
)
#: `doorward` and what follows on its line that could be commands, options and their values.
NAMED = re.compile(r"(?<![\w./-])doorward((?: (?:--?[a-z][a-z-]*|[A-Za-z0-9./_-]+))+)")
#: Words that go on with the sentence.
PROSE = {"and", "as", "from", "in", "is", "of", "on", "or", "there", "to", "with"}


def named_commands(text: str) -> Iterator[list[str]]:
    """Each named command's words, up to where the sentence goes on. A program's name in prose is none."""
    for match in NAMED.finditer(text):
        words = match[1].split()
        if words[0] in COMMANDS:
            end = next((at for at, word in enumerate(words) if word in PROSE), len(words))
            yield words[:end]


def fault_of(words: list[str]) -> str | None:
    command: click.Command = program
    with_value = False
    for word in words:
        if with_value:
            with_value = False
        elif word.startswith("-") and word != "-":
            option = next(
                (
                    p
                    for p in command.params
                    if isinstance(p, click.Option) and word in (*p.opts, *p.secondary_opts)
                ),
                None,
            )
            if option is None and word not in ("-h", "--help"):
                return f"no option {word}"
            with_value = option is not None and not option.is_flag
        elif isinstance(command, click.Group):
            below = command.get_command(click.Context(command), word)
            if below is None:
                # `FILE` or `Run doorward watch.` at a sentence's end is read with its full stop.
                below = command.get_command(click.Context(command), word.rstrip("."))
            if below is None:
                return f"no command {word}"
            command = below
    return None


@pytest.mark.parametrize("words", ["connect security mode account", "keys rotate --nothing", "connect logon"])
def test_a_command_that_is_none_is_found(words: str) -> None:
    assert fault_of(words.split()) is not None


def test_every_command_that_is_named_exists() -> None:
    named = [(path, words) for path in SOURCES for words in named_commands(path.read_text("utf-8"))]
    assert len(named) > 100
    faults = [
        f"{path.relative_to(ROOT)}: doorward {' '.join(words)}: {fault}"
        for path, words in named
        if (fault := fault_of(words)) is not None
    ]
    assert faults == []

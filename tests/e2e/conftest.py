"""Whole installations, on each engine and in each topology."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests import databases
from tests.e2e.installations import TOPOLOGIES, Installation


@pytest.fixture(params=list(TOPOLOGIES))
def topology(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def installation(
    topology: str, engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A running installation without accounts, ended well after the test."""
    with ExitStack() as stack:
        made = TOPOLOGIES[topology]
        database_url = (
            stack.enter_context(databases.new_postgresql(made.schemas)) if engine == "postgresql" else None
        )
        # unix sockets need short paths
        folder = tmp_path_factory.mktemp("e", numbered=True)
        running = made(folder, database_url)
        stack.callback(end, running)
        running.start()
        yield running


def end(installation: Installation) -> None:
    """Kill what a failed test left, and show what it had said."""
    for name, program in installation.programs.items():
        if program.process.poll() is None:
            program.kill()
        print(f"--- {name}\n{program.output}")

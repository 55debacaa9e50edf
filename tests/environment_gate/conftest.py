"""The machine of every test here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import ClockForTests
from tests.environment_gate.machine import Machine, running_machine


@pytest.fixture
async def machine(anyio_backend: str, tmp_path: Path, clock: ClockForTests) -> AsyncIterator[Machine]:
    async with running_machine(tmp_path / "home", clock) as running:
        yield running

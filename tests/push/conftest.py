"""The services of `tests.push.services`, running."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import ClockForTests
from tests.push.services import Services, running_services


@pytest.fixture
async def services(anyio_backend: str, tmp_path: Path, clock: ClockForTests) -> AsyncIterator[Services]:
    async with running_services(tmp_path / "tls", clock) as running:
        yield running

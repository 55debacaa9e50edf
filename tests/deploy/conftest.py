"""The files of `deploy/`."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def deploy() -> Path:
    return Path(__file__).parents[2] / "deploy"

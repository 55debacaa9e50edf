"""`from tests.environment.engines import engine` makes a module's tests run on SQLite and on PostgreSQL."""

import pytest


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


__all__ = ["engine"]

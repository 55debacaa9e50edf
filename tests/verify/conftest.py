from collections.abc import Iterator

import pytest

from tests.verify.backend_wire import BackendWire, serving
from tests.verify.requests_table import Tokens, fill


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture(scope="module")
def wire(tokens: Tokens) -> Iterator[BackendWire]:
    """A Backend API that knows every token of the table of requests."""
    wire = BackendWire(tokens.key)
    fill(wire, tokens)
    with serving(wire):
        yield wire

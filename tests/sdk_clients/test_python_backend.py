"""`clerk-backend-api`, unmodified, driven through what it offers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.sdk_clients.python_instance import INSTANCE
from tests.sdk_clients.python_organizations import ORGANIZATIONS
from tests.sdk_clients.python_people import PEOPLE
from tests.sdk_clients.python_sdk import Python
from tests.sdk_clients.seen import Outcomes
from tests.sdk_clients.server import Server

pytestmark = [
    pytest.mark.xdist_group("published SDKs"),
    # The SDK warns of parts of itself, such as a list's own filters.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

CONVERSATIONS = (*PEOPLE, *ORGANIZATIONS, *INSTANCE)


class Held:
    def __init__(self, py: Python) -> None:
        self.outcomes = Outcomes(py, CONVERSATIONS)
        self.calls = py.calls


@pytest.fixture(scope="module")
def held(server: Server) -> Iterator[Held]:
    py = Python(server)
    yield Held(py)
    py.end()


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda each: each.__name__)
def test_a_conversation(held: Held, conversation: Callable[[Python], None]) -> None:
    held.outcomes.judge(conversation)


def test_the_sdk_is_called_often(held: Held) -> None:
    assert len({name for name, _ in held.calls}) >= 120
    assert len(set(held.calls)) >= 180

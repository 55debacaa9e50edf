"""`@clerk/backend`, unmodified, driven through everything that it offers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sdk_clients.javascript import JavaScript
from tests.sdk_clients.javascript_instance import INSTANCE
from tests.sdk_clients.javascript_machines import MACHINES
from tests.sdk_clients.javascript_organizations import ORGANIZATIONS
from tests.sdk_clients.javascript_people import PEOPLE
from tests.sdk_clients.seen import Outcomes

pytestmark = pytest.mark.xdist_group("published SDKs")

CONVERSATIONS = (*PEOPLE, *ORGANIZATIONS, *MACHINES, *INSTANCE)
#: Clerk's own start without an account; its wire is the cloud's alone.
UNCALLED = {
    "__experimental_accountlessApplications.createAccountlessApplication",
    "__experimental_accountlessApplications.completeAccountlessApplicationOnboarding",
}


class Held:
    def __init__(self, js: JavaScript) -> None:
        before = len(js.calls)
        self.outcomes = Outcomes(js, CONVERSATIONS)
        self.calls = js.calls[before:]


@pytest.fixture(scope="module")
def held(js: JavaScript) -> Held:
    return Held(js)


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda each: each.__name__)
def test_a_conversation(held: Held, conversation: Callable[[JavaScript], None]) -> None:
    held.outcomes.judge(conversation)


def test_every_method_of_the_sdk_is_called(held: Held, js: JavaScript) -> None:
    called = {name for name, _ in held.calls}
    assert set(js("methods")) - called == UNCALLED
    assert len(set(held.calls)) > 250

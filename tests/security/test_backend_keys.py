"""Every operation of the Backend API with every kind of credential: who may is said here, once, and asked of all.

An operation that is named in neither table below is held to the strictest row, the instance's secret key alone; so a new
one joins by itself, and fails until its row is given if machines are meant to call it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import pytest

from doorward.identity import SCHEMA
from doorward.identity.backend_api.catalogue import OPERATIONS
from doorward.store import open_database
from tests import databases
from tests.conftest import ClockForTests
from tests.identity.conftest import ORIGIN, new_world
from tests.identity_backend_api.conftest import Backend, backend_of
from tests.identity_backend_api.inventory import Inventory, make_inventory
from tests.security.backend_credentials import (
    CREDENTIALS,
    MACHINES,
    NO_KEY,
    SECRET_KEY,
    UNREADABLE,
    make_credentials,
)
from tests.security.rows import rows

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("backend-keys")]

#: Machines may, about themselves; the secret key may, about all of them.
SHARED = {
    "GET /m2m_tokens",
    "POST /m2m_tokens/{m2m_token_id}/revoke",
    "POST /m2m_tokens/verify",
}
#: A machine makes tokens as itself: nobody else can, with whatever key.
MACHINES_ALONE = {"POST /m2m_tokens"}
#: What is served without a version as well, where Clerk's JavaScript SDK looks for it.
VERSIONLESS = ("/m2m_tokens", "/api_keys", "/oauth_applications/access_tokens/verify")

FORMAT, UNKNOWN, NO_MACHINE = (
    "authorization_header_format_invalid",
    "clerk_key_invalid",
    "machine_secret_key_invalid",
)
LET_IN = None
#: By who may call an operation: the answer to each kind of credential. Refusals are 401 with this code.
ANSWERS: dict[str, dict[str, str | None]] = {
    "the instance's": {
        **dict.fromkeys(UNREADABLE, FORMAT),
        **dict.fromkeys(NO_KEY, UNKNOWN),
        **dict.fromkeys(MACHINES, UNKNOWN),
        SECRET_KEY: LET_IN,
    },
    "shared": {
        **dict.fromkeys(UNREADABLE, FORMAT),
        **dict.fromkeys(NO_KEY, UNKNOWN),
        **dict.fromkeys(MACHINES, LET_IN),
        SECRET_KEY: LET_IN,
    },
    "machines' alone": {
        **dict.fromkeys(UNREADABLE, FORMAT),
        **dict.fromkeys(NO_KEY, NO_MACHINE),
        **dict.fromkeys(MACHINES, LET_IN),
        SECRET_KEY: NO_MACHINE,
    },
}


class Asked(NamedTuple):
    """An operation at one of its addresses, about something that exists."""

    method: str
    path: str
    row: str


class Stage(NamedTuple):
    """Everything there is, twice, and everybody who might ask."""

    backend: Backend
    stranger: httpx.AsyncClient
    inventory: Inventory
    credentials: dict[str, dict[str, str]]

    def operations(self, inventory: Inventory) -> list[Asked]:
        asked = []
        for operation in OPERATIONS:
            name = f"{operation.method} {operation.path}"
            row = "shared" if name in SHARED else "the instance's"
            row = "machines' alone" if name in MACHINES_ALONE else row
            path = inventory.filled(operation.path)
            families = ("/api/v1", "/api") if operation.path.startswith(VERSIONLESS) else ("/api/v1",)
            asked += [Asked(operation.method, f"{family}{path}", row) for family in families]
        assert len(asked) > 150, "the operations were not found"
        return asked


@pytest.fixture(scope="module")
async def stage(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    url = databases.new_sqlite(tmp_path_factory.mktemp("backend-keys"), (SCHEMA,))
    database = await open_database(url, schemas=(SCHEMA,))
    world = await new_world(database, ClockForTests())
    stranger = httpx.AsyncClient(transport=httpx.ASGITransport(world.identity.app), base_url=ORIGIN)
    async with backend_of(world) as backend, stranger:
        inventory = await make_inventory(backend.http)
        yield Stage(backend, stranger, inventory, await make_credentials(backend, inventory))
    await world.close()
    await database.close()


def refusal(answer: httpx.Response) -> tuple[int, str] | None:
    """How the caller was turned away, if for who they are."""
    code = answer.json()["errors"][0]["code"] if answer.status_code >= 400 else ""
    is_turned_away = answer.status_code == 401 and code in (FORMAT, UNKNOWN, NO_MACHINE)
    return (answer.status_code, code) if is_turned_away else None


def test_every_row_is_about_operations_that_exist():
    names = {f"{operation.method} {operation.path}" for operation in OPERATIONS}
    assert names >= SHARED | MACHINES_ALONE
    assert {each.path for each in OPERATIONS if each.is_versionless} == {
        each.path for each in OPERATIONS if each.path.startswith(VERSIONLESS)
    }


async def test_every_credential_has_its_answer_in_every_row(stage: Stage):
    assert set(stage.credentials) == set(CREDENTIALS)
    for answers in ANSWERS.values():
        assert set(answers) == set(CREDENTIALS)


@pytest.mark.parametrize("credential", CREDENTIALS)
async def test_whoever_may_not_call_an_operation_is_told_nothing_and_changes_nothing(
    stage: Stage, credential: str
):
    headers = stage.credentials[credential]
    before = await rows(stage.backend.world.database)
    wrong = []
    for method, path, row in stage.operations(stage.inventory):
        expected = ANSWERS[row][credential]
        if expected is LET_IN:
            continue
        answer = await stage.stranger.request(method, path, headers=headers, json={})
        body = {} if method == "HEAD" else answer.json()
        is_bare = set(body) <= {"errors", "clerk_trace_id"} and len(body["errors"]) == 1
        if refusal(answer) != (401, expected) or not is_bare or "set-cookie" in answer.headers:
            wrong.append((method, path, answer.status_code, answer.text[:200]))
    assert not wrong, wrong
    assert await rows(stage.backend.world.database) == before


async def test_the_secret_key_opens_what_is_the_instances_and_each_path_is_about_something_that_exists(
    stage: Stage,
):
    inventory = await make_inventory(stage.backend.http, tag="b")
    # The things first, then what they are in: a deleted user has no session to delete.
    asked = sorted(
        stage.operations(inventory), key=lambda each: (each.method == "DELETE", -each.path.count("/"))
    )
    for method, path, row in asked:
        if ANSWERS[row][SECRET_KEY] is not LET_IN:
            continue
        answer = await stage.backend.http.request(method, path, json={})
        assert refusal(answer) is None, (method, path, answer.text)
        assert answer.status_code < 500, (method, path, answer.text)
        is_named = not any(each in path for each in ("/api_keys", "/m2m_tokens"))
        if method == "GET" and is_named:
            assert answer.status_code == 200, (method, path, answer.text)


# Machines among themselves.


class MachinesCase(NamedTuple):
    """What a machine asks about its own, and about a neighbour's that it has nothing to do with."""

    method: str
    path: str
    members: dict[str, str]
    own: int
    foreign: int


MACHINES_CASES = (
    MachinesCase("GET", "/m2m_tokens", {"subject": "{machine}"}, 200, 403),
    MachinesCase("POST", "/m2m_tokens/verify", {"token": "{for}"}, 200, 404),
    MachinesCase("POST", "/m2m_tokens/{of}/revoke", {}, 200, 404),
)


async def machines(backend: Backend) -> dict[str, Any]:
    """Two senders, each with a token made for its own receiver."""
    made = {}
    for name in ("own", "foreign"):
        receiver = await backend.ask("POST", "/machines", json={"name": f"{name} receiver"})
        sender = await backend.ask(
            "POST", "/machines", json={"name": name, "scoped_machines": [receiver["id"]]}
        )
        headers = {"authorization": f"Bearer {sender['secret_key']}"}
        token = await backend.ask("POST", "/m2m_tokens", 201, json={}, headers=headers)
        made[name] = {
            "{machine}": sender["id"],
            "{of}": token["id"],
            "{for}": token["token"],
            "sender": headers,
            "receiver": {"authorization": f"Bearer {receiver['secret_key']}"},
        }
    return made


@pytest.mark.parametrize("family", ["/api/v1", "/api"])
@pytest.mark.parametrize("case", MACHINES_CASES, ids=lambda case: f"{case.method} {case.path}")
async def test_a_machine_deals_with_its_own_and_never_with_a_neighbours(
    stage: Stage, family: str, case: MachinesCase
):
    assert {f"{case.method} {case.path}" for case in MACHINES_CASES} == {
        name.replace("{m2m_token_id}", "{of}") for name in SHARED
    }
    made = await machines(stage.backend)
    asker = made["own"]["receiver" if "verify" in case.path else "sender"]

    async def ask(whose: str) -> httpx.Response:
        about = made[whose]
        members = {name: about[value] for name, value in case.members.items()}
        path = f"{family}{case.path}".replace("{of}", about["{of}"])
        options = {"params": members} if case.method == "GET" else {"json": members}
        return await stage.stranger.request(case.method, path, headers=asker, **options)

    before = await rows(stage.backend.world.database)
    foreign = await ask("foreign")
    assert foreign.status_code == case.foreign, foreign.text
    assert made["foreign"]["{of}"] not in foreign.text
    assert await rows(stage.backend.world.database) == before
    own = await ask("own")
    assert own.status_code == case.own, own.text


@pytest.mark.parametrize("credential", MACHINES)
async def test_a_machine_makes_tokens_as_itself_alone(stage: Stage, credential: str):
    headers = stage.credentials[credential]
    answer = await stage.stranger.post("/api/v1/m2m_tokens", headers=headers, json={})
    assert answer.status_code == 201
    subject = answer.json()["subject"]
    other = stage.inventory.ids["/machines/{}/scopes"]
    assert subject != other
    for member in ("subject", "machine_id"):
        refused = await stage.stranger.post("/api/v1/m2m_tokens", headers=headers, json={member: other})
        assert refused.status_code == 400, refused.text

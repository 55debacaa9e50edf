"""Apps on Express, Fastify and Hono with Clerk's middleware, as processes: whom they see behind each kind of token."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.sdk_clients.installed import javascript_sdks
from tests.sdk_clients.seen import new_name, shows
from tests.sdk_clients.server import Server
from tests.sdk_clients.visitor import Visitor, application

pytestmark = pytest.mark.xdist_group("published SDKs")

FRAMEWORKS = ("express", "fastify", "hono")


@dataclass
class Machines:
    """`sender` may reach `receiver`, which the apps are; `stranger` may reach nobody, and nobody reaches it."""

    sender: Any
    receiver: Any
    stranger: Any


@dataclass
class App:
    http: httpx.Client

    def sees(self, path: str, token: str, status: int = 200) -> Any:
        response = self.http.get(path, headers={"authorization": f"Bearer {token}"})
        assert response.status_code == status, response.text
        return response.json()

    def refuses(self, path: str, token: str) -> Any:
        seen = self.sees(path, token, 401)
        assert seen["isAuthenticated"] is False
        return seen


@contextmanager
def started(
    program: str, server: Server, machine_key: str, options: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["node", program, json.dumps(options)],
        cwd=javascript_sdks(),
        env=server.environ(CLERK_MACHINE_SECRET_KEY=machine_key),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="module")
def machines(backend: httpx.Client) -> Machines:
    def made(**members: Any) -> Any:
        body = {"name": new_name("machine"), **members}
        return backend.post("/machines", json=body).raise_for_status().json()

    receiver = made()
    return Machines(made(scoped_machines=[receiver["id"]]), receiver, made())


@pytest.fixture(scope="module")
def apps(server: Server, machines: Machines) -> Iterator[dict[str, App]]:
    """By framework; and, as `<framework> by option`, one whose environment has the key of another machine."""
    key, other = machines.receiver["secret_key"], machines.stranger["secret_key"]
    with ExitStack() as stack:
        starting = {}
        for framework in FRAMEWORKS:
            program = f"{framework}_app.mjs"
            starting[framework] = stack.enter_context(started(program, server, key, {}))
            by_option = started(program, server, other, {"machineSecretKey": key})
            starting[f"{framework} by option"] = stack.enter_context(by_option)
        running = {}
        for name, process in starting.items():
            assert process.stdout is not None
            port = json.loads(process.stdout.readline())["port"]
            http = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60))
            running[name] = App(http)
        yield running


@pytest.fixture(params=FRAMEWORKS)
def app(request: pytest.FixtureRequest, apps: dict[str, App]) -> App:
    return apps[request.param]


def token_of(backend: httpx.Client, machine: Any, **members: Any) -> Any:
    """Made with the machine's own key."""
    headers = {"authorization": f"Bearer {machine['secret_key']}"}
    return backend.post("/m2m_tokens", json=members, headers=headers).raise_for_status().json()


@pytest.mark.conformance("clerk-backend-traps", 17)
def test_a_session_is_a_person(app: App, ada: Visitor) -> None:
    token = ada.session_token()
    for path in ("/session", "/people-and-keys", "/any"):
        seen = app.sees(path, token)
        shows(seen, tokenType="session_token", userId=ada.user_id, sessionId=ada.session_id)
        assert "orgId" not in seen
    shows(app.refuses("/m2m", token), tokenType="m2m_token", machineId=None)
    shows(app.refuses("/oauth", token), tokenType="oauth_token", userId=None)
    shows(app.refuses("/session", f"{token[:-6]}AAAAAA"), tokenType="session_token", userId=None)


@pytest.mark.parametrize("form", ["opaque", "jwt"])
def test_an_oauth_token_is_a_person_of_an_application(
    app: App, ada: Visitor, backend: httpx.Client, form: str
) -> None:
    shop = application(backend, access_token_format=form)
    token = ada.access_token(shop)
    assert token.startswith("oat_") == (form == "opaque")
    for path in ("/oauth", "/any"):
        seen = app.sees(path, token)
        shows(seen, tokenType="oauth_token", userId=ada.user_id, clientId=shop["client_id"])
        assert sorted(seen["scopes"]) == ["email", "profile"]
    shows(app.refuses("/session", token), userId=None)
    shows(app.refuses("/people-and-keys", token), tokenType=None)
    if form == "opaque":
        path = f"/oauth_applications/{shop['id']}/revoke_token"
        assert backend.post(path, json={"token": token}).status_code == 204
        shows(app.refuses("/oauth", token), userId=None)


@pytest.mark.conformance("clerk-backend", 151, 174)
def test_a_machine_is_seen_with_the_key_in_the_environment(
    app: App, machines: Machines, backend: httpx.Client
) -> None:
    made = token_of(backend, machines.sender, claims={"job": "nightly"})
    seen = app.sees("/m2m", made["token"])
    shows(seen, tokenType="m2m_token", machineId=machines.sender["id"], subject=machines.sender["id"])
    shows(seen, id=made["id"], scopes=[machines.receiver["id"]], claims={"job": "nightly"})
    shows(app.refuses("/session", made["token"]), userId=None)
    outside = token_of(backend, machines.stranger)
    shows(app.refuses("/m2m", outside["token"]), tokenType="m2m_token", machineId=None)
    backend.post(f"/m2m_tokens/{made['id']}/revoke", json={"revocation_reason": None}).raise_for_status()
    shows(app.refuses("/m2m", made["token"]), machineId=None)


def test_a_machines_jwt_needs_no_call(app: App, machines: Machines, backend: httpx.Client) -> None:
    made = token_of(backend, machines.sender, token_format="jwt")
    shows(app.sees("/m2m", made["token"]), machineId=machines.sender["id"], id=made["id"])
    shows(app.refuses("/session", made["token"]), userId=None)
    shows(app.refuses("/m2m", f"{made['token'][:-6]}AAAAAA"), machineId=None)


@pytest.mark.conformance("clerk-backend", 152)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_option_wins_over_the_environment(
    apps: dict[str, App], framework: str, machines: Machines, backend: httpx.Client
) -> None:
    """The environment names a machine that the sender may not reach; the instance's key would see everybody."""
    app = apps[f"{framework} by option"]
    made, outside = token_of(backend, machines.sender), token_of(backend, machines.stranger)
    shows(app.sees("/m2m", made["token"]), machineId=machines.sender["id"])
    shows(app.refuses("/m2m", outside["token"]), machineId=None)


def test_an_api_key_is_its_owner(app: App, ada: Visitor, backend: httpx.Client) -> None:
    body = {"name": "ci key", "subject": ada.user_id, "scopes": ["read"]}
    made = backend.post("/api_keys", json=body).raise_for_status().json()
    for path in ("/key", "/people-and-keys", "/any"):
        shows(
            app.sees(path, made["secret"]),
            tokenType="api_key",
            userId=ada.user_id,
            scopes=["read"],
            id=made["id"],
        )
    shows(app.refuses("/session", made["secret"]), userId=None)
    backend.post(f"/api_keys/{made['id']}/revoke", json={}).raise_for_status()
    shows(app.refuses("/key", made["secret"]), userId=None)

"""`doorward.verify` beside Clerk's SDKs, against the same running server: machines, and every kind of token."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from doorward.verify import Authenticator, Machine, RequestState, auth_request
from doorward.verify.errors import BadRequest, NotAllowed, SecretKeyRefused, TokenNotFound
from tests.sdk_clients.seen import new_name, shows
from tests.sdk_clients.server import Server
from tests.sdk_clients.visitor import Visitor, application

pytestmark = pytest.mark.xdist_group("published SDKs")

ROOT = Path(__file__).parents[2]
MakeMachine = Callable[..., tuple[str, Machine]]


@pytest.fixture(autouse=True)
def trust(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", server.ca_file)


@pytest.fixture
def make_machine(server: Server, backend: httpx.Client) -> MakeMachine:
    """A machine's id, and its own client as the variables of `doorward up` make it."""

    def make(*scopes: str, **options: Any) -> tuple[str, Machine]:
        body = {"name": new_name("machine"), "scoped_machines": list(scopes)}
        made = backend.post("/machines", json=body).raise_for_status().json()
        environment = {**server.variables, "CLERK_MACHINE_SECRET_KEY": made["secret_key"]}
        return made["id"], Machine(environment=environment, **options)

    return make


def test_machines_make_verify_list_and_revoke_tokens(make_machine: MakeMachine) -> None:
    receiver_id, receiver = make_machine()
    sender_id, sender = make_machine(receiver_id)
    _, stranger = make_machine()
    made = sender.create_token(claims={"job": {"camelCase": 1}}, seconds_until_expiration=300)
    assert made.token is not None
    assert (made.subject, made.scopes, made.expired) == (sender_id, (receiver_id,), False)
    assert made.expiration == (made.created_at or 0) + 300_000
    seen = receiver.verify_token(made.token)
    shows(seen, id=made.id, machine_id=sender_id, scopes=(receiver_id,), claims={"job": {"camelCase": 1}})
    again = sender.create_token(claims={"job": {"camelCase": 1}}, min_remaining_ttl_seconds=60)
    assert (again.id, again.token) == (made.id, made.token)
    assert [one.id for one in sender.list_tokens(sender_id)] == [made.id]
    for refusal, attempt in (
        (TokenNotFound, lambda: stranger.verify_token(made.token or "")),
        (TokenNotFound, lambda: receiver.revoke_token(made.id)),
        (NotAllowed, lambda: receiver.list_tokens(sender_id)),
        (BadRequest, lambda: sender.create_token(seconds_until_expiration=0)),
        (BadRequest, lambda: sender.create_token(claims={"sub": "x"}, token_format="jwt")),
    ):
        with pytest.raises(refusal):
            attempt()
    shows(sender.revoke_token(made.id, revocation_reason="done"), revoked=True, revocation_reason="done")
    with pytest.raises(TokenNotFound):
        receiver.verify_token(made.token)
    assert not sender.list_tokens(sender_id)


def test_the_machines_example_runs_as_it_says(server: Server, backend: httpx.Client) -> None:
    def made(*scopes: str) -> dict[str, Any]:
        body = {"name": new_name("machine"), "scoped_machines": list(scopes)}
        machine: dict[str, Any] = backend.post("/machines", json=body).raise_for_status().json()
        return machine

    receiver = made()
    caller = made(receiver["id"])
    keys = {
        "CLERK_MACHINE_SECRET_KEY": caller["secret_key"],
        "RECEIVER_SECRET_KEY": receiver["secret_key"],
    }
    done = subprocess.run(
        [sys.executable, "examples/machine_app.py"],
        cwd=ROOT, env=os.environ | server.variables | keys, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == f"{caller['id']} for nightly\n", done.stderr


def test_the_same_in_coroutines(make_machine: MakeMachine) -> None:
    receiver_id, receiver = make_machine()
    sender_id, sender = make_machine(receiver_id)

    async def converse() -> None:
        made = await sender.create_token_async()
        assert (await receiver.verify_token_async(made.token or "")).machine_id == sender_id
        assert [one.id for one in await sender.list_tokens_async(sender_id)] == [made.id]
        assert (await sender.revoke_token_async(made.id)).revoked
        with pytest.raises(TokenNotFound):
            await receiver.verify_token_async(made.token or "")

    asyncio.run(converse())


def test_a_machines_jwt_is_verified_with_the_public_keys(server: Server, make_machine: MakeMachine) -> None:
    receiver_id, receiver = make_machine(jwks_url=server.variables["CLERK_JWKS_URL"])
    sender_id, sender = make_machine(receiver_id)
    made = sender.create_token(token_format="jwt", claims={"team": "billing"})
    seen = receiver.verify_token(made.token or "")
    assert (seen.machine_id, seen.id, (seen.claims or {})["team"]) == (sender_id, made.id, "billing")


def test_a_replaced_key_of_a_machine_is_refused(make_machine: MakeMachine, backend: httpx.Client) -> None:
    machine_id, machine = make_machine()
    path = f"/machines/{machine_id}/secret_key/rotate"
    backend.post(path, json={"previous_token_ttl": 0}).raise_for_status()
    with pytest.raises(SecretKeyRefused):
        machine.create_token()


class TestAuthenticator:
    """As the variables of `doorward up` make it."""

    @pytest.fixture
    def see(self, server: Server) -> Callable[..., RequestState]:
        made = Authenticator(environment=server.variables)

        def see(token: str, accepts: Any = "any") -> RequestState:
            headers = {"authorization": f"Bearer {token}"}
            request = auth_request("GET", "https://app.example.com/", headers)
            state = made.authenticate_request(request, accepts_token=accepts)
            later = asyncio.run(made.authenticate_request_async(request, accepts_token=accepts))
            assert later == state
            return state

        return see

    def test_a_session(self, see: Callable[..., RequestState], ada: Visitor, server: Server) -> None:
        auth = see(ada.session_token(), "session_token").to_auth()
        shows(auth, user_id=ada.user_id, session_id=ada.session_id, is_authenticated=True)
        wrong = {**server.variables, "CLERK_SECRET_KEY": "sk_test_" + "x" * 40}
        headers = {"authorization": f"Bearer {ada.session_token()}"}
        request = auth_request("GET", "https://app.example.com/", headers)
        assert Authenticator(environment=wrong).authenticate_request(request).reason == "secret-key-invalid"

    @pytest.mark.parametrize("form", ["opaque", "jwt"])
    def test_an_oauth_token(
        self, see: Callable[..., RequestState], ada: Visitor, backend: httpx.Client, form: str
    ) -> None:
        shop = application(backend, access_token_format=form)
        token = ada.access_token(shop)
        auth = see(token, "oauth_token").to_auth()
        shows(auth, user_id=ada.user_id, client_id=shop["client_id"], is_authenticated=True)
        assert sorted(auth.scopes or ()) == ["email", "profile"]
        assert not see(token, "session_token").is_authenticated
        if form == "opaque":
            path = f"/oauth_applications/{shop['id']}/revoke_token"
            assert backend.post(path, json={"token": token}).status_code == 204
            assert see(token).reason == "token-invalid"

    @pytest.mark.parametrize("kind", ["user", "organization"])
    def test_an_api_key(
        self, see: Callable[..., RequestState], ada: Visitor, backend: httpx.Client, kind: str
    ) -> None:
        acme = backend.post("/organizations", json={"name": "Acme"}).raise_for_status().json()["id"]
        user_id, org_id = (ada.user_id, None) if kind == "user" else (None, acme)
        body = {"name": "ci key", "subject": user_id or org_id, "scopes": ["read"], "claims": {"a": 1}}
        key = backend.post("/api_keys", json=body).raise_for_status().json()
        auth = see(key["secret"], ["api_key", "session_token"]).to_auth()
        shows(auth, id=key["id"], name="ci key", user_id=user_id, org_id=org_id, scopes=("read",))
        shows(auth, claims={"a": 1}, is_authenticated=True)
        backend.post(f"/api_keys/{key['id']}/revoke", json={}).raise_for_status()
        assert see(key["secret"]).reason == "token-invalid"

    def test_a_machines_token(
        self, see: Callable[..., RequestState], make_machine: MakeMachine, server: Server
    ) -> None:
        """By the instance's key anybody's, by a machine's own those meant for it."""
        receiver_id, _ = make_machine()
        sender_id, sender = make_machine(receiver_id)
        for form in ("opaque", "jwt"):
            token = sender.create_token(token_format=form).token or ""  # type: ignore[arg-type]
            shows(see(token, "m2m_token").to_auth(), machine_id=sender_id, is_authenticated=True)
            assert not see(token, "session_token").is_authenticated

"""What `clerk-backend-api` makes of our errors, keys and tokens, and what it cannot do with us (`docs/clerk-sdks.md`)."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import httpx
import pytest
from clerk_backend_api import Clerk
from clerk_backend_api.models import ClerkErrors
from clerk_backend_api.security import (
    AuthenticateRequestOptions,
    TokenVerificationError,
    TokenVerificationErrorReason,
    VerifyTokenOptions,
    verify_token,
    verify_token_async,
)

from tests.sdk_clients.python_sdk import Python, raised
from tests.sdk_clients.seen import new_name, shows
from tests.sdk_clients.server import Server
from tests.sdk_clients.visitor import Visitor, application

pytestmark = [
    pytest.mark.xdist_group("published SDKs"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def py(server: Server) -> Iterator[Python]:
    client = Python(server)
    yield client
    client.end()


@pytest.fixture(autouse=True)
def trust(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What verifies by itself has no option for the authority that signs for loopback."""
    monkeypatch.setenv("SSL_CERT_FILE", server.ca_file)
    yield
    # The connections it leaves open are closed here, where nobody minds, and not in the middle of another test.
    gc.collect()


def both(token: str, options: VerifyTokenOptions) -> dict[str, Any]:
    """What the SDK verifies, by its thread's and by its coroutine's way."""
    seen = verify_token(token, options)
    assert asyncio.run(verify_token_async(token, options)) == seen
    return seen


def refused(token: str, options: VerifyTokenOptions) -> TokenVerificationErrorReason:
    with pytest.raises(TokenVerificationError) as error:
        verify_token(token, options)
    return error.value.reason


@pytest.mark.conformance("clerk-backend-traps", 6)
@pytest.mark.conformance("clerk-backend", 4, 6)
def test_an_error_is_the_sdks_own(server: Server, py: Python) -> None:
    absent = raised(py.users.get, user_id="user_x")
    assert isinstance(absent, ClerkErrors)
    shows(absent.data.errors[0], code="resource_not_found")
    assert absent.status_code == 404
    wrong = raised(py.by("sk_test_" + "x" * 40).users.list, request={})
    assert isinstance(wrong, ClerkErrors)
    shows(wrong.data.errors[0], code="clerk_key_invalid")


@pytest.mark.conformance("clerk-backend", 11, 19)
@pytest.mark.parametrize("slash", ["", "/"])
def test_its_version_is_served_with_and_without_a_slash(server: Server, ada: Visitor, slash: str) -> None:
    with httpx.Client(verify=server.trust()) as http:
        clerk = Clerk(bearer_auth=server.secret_key, server_url=f"{server.api}/v1{slash}", client=http)
        (found,) = clerk.users.list(request={"user_id": [ada.user_id]})
        assert found.id == ada.user_id


@pytest.mark.conformance("clerk-backend", 24)
def test_a_wrong_secret_key_loads_no_keys(server: Server, ada: Visitor) -> None:
    options = VerifyTokenOptions(secret_key="sk_test_" + "x" * 40, api_url=server.api)
    assert refused(ada.session_token(), options) is TokenVerificationErrorReason.JWK_FAILED_TO_LOAD


def test_a_session_is_verified_with_our_key_set(server: Server, ada: Visitor) -> None:
    options = VerifyTokenOptions(secret_key=server.secret_key, api_url=server.api)
    shows(both(ada.session_token(), options), sub=ada.user_id, sid=ada.session_id)
    strict = VerifyTokenOptions(
        secret_key=server.secret_key, api_url=server.api, authorized_parties=["https://evil.example"]
    )
    reason = TokenVerificationErrorReason.TOKEN_INVALID_AUTHORIZED_PARTIES
    assert refused(ada.session_token(), strict) is reason


@pytest.mark.conformance("clerk-backend", 28, 175)
def test_a_request_is_authenticated_offline_with_our_key(server: Server, ada: Visitor) -> None:
    key, token = server.public_key(), ada.session_token()
    assert both(token, VerifyTokenOptions(jwt_key=key))["sub"] == ada.user_id
    clerk = Clerk(bearer_auth="sk_test_unused", server_url="http://127.0.0.1:1/v1")
    request = httpx.Request("GET", "https://app.example.com/", headers={"Authorization": f"Bearer {token}"})
    state = clerk.authenticate_request(
        request, AuthenticateRequestOptions(jwt_key=key, authorized_parties=[server.accounts])
    )
    assert state.is_signed_in
    auth = state.to_auth()
    assert (auth.sub, auth.sid, auth.azp) == (ada.user_id, ada.session_id, server.accounts)


@pytest.mark.conformance("clerk-backend-traps", 14)
@pytest.mark.conformance("clerk-backend", 176)
def test_with_a_secret_key_alone_it_asks_clerks_cloud(docs_page: str) -> None:
    """Should it get an option for the address, the page that says so has to change."""
    assert "api_url" not in {field.name for field in fields(AuthenticateRequestOptions)}
    assert VerifyTokenOptions().api_url == "https://api.clerk.com"
    assert "`authenticate_request`" in docs_page
    assert "api.clerk.com" in docs_page


def test_it_loses_the_claims_of_a_template(py: Python, backend: httpx.Client, docs_page: str) -> None:
    """Its model of claims has no members, and so it sends none."""
    made = py.jwt_templates.create(request={"name": new_name("lost"), "claims": {"aud": "api"}})
    assert backend.get(f"/jwt_templates/{made.id}").json()["claims"] == {}
    assert "claims of a JWT template" in docs_page


@pytest.mark.conformance("clerk-backend-traps", 15)
def test_tokens_of_programs_are_verified(server: Server, backend: httpx.Client, ada: Visitor) -> None:
    """It sends them as `secret`, below no version, and names no version of the API."""
    by_instance = VerifyTokenOptions(secret_key=server.secret_key, api_url=server.api)
    receiver = backend.post("/machines", json={"name": "receiver"}).json()
    sender = backend.post("/machines", json={"name": "sender", "scoped_machines": [receiver["id"]]}).json()
    own = {"authorization": f"Bearer {sender['secret_key']}"}
    m2m = backend.post("/m2m_tokens", json={"claims": {"job": "x"}}, headers=own).json()
    by_machine = VerifyTokenOptions(machine_secret_key=receiver["secret_key"], api_url=server.api)
    for options in (by_instance, by_machine):
        shows(both(m2m["token"], options), id=m2m["id"], subject=sender["id"], claims={"job": "x"})
    shop = application(backend, access_token_format="opaque")
    oauth = ada.access_token(shop)
    shows(both(oauth, by_instance), subject=ada.user_id, client_id=shop["client_id"])
    key = backend.post("/api_keys", json={"name": "ci key", "subject": ada.user_id}).json()
    shows(both(key["secret"], by_instance), id=key["id"], subject=ada.user_id)
    backend.post(f"/m2m_tokens/{m2m['id']}/revoke", json={"revocation_reason": None}).raise_for_status()
    backend.post(f"/oauth_applications/{shop['id']}/revoke_token", json={"token": oauth}).raise_for_status()
    backend.post(f"/api_keys/{key['id']}/revoke", json={}).raise_for_status()
    for token in (m2m["token"], oauth, key["secret"]):
        assert refused(token, by_instance) is TokenVerificationErrorReason.TOKEN_INVALID

"""What `@clerk/backend` makes of our errors, keys and tokens."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from doorward.jose import generate_key, sign_jwt
from tests.identity.conftest import header_of
from tests.sdk_clients.javascript import JavaScript, Threw
from tests.sdk_clients.seen import new_address, shows
from tests.sdk_clients.server import Server
from tests.sdk_clients.visitor import Visitor, application

pytestmark = pytest.mark.xdist_group("published SDKs")

JWKS = "GET /api/v1/jwks"
#: Seconds until a running server signs with a key that somebody else put in.
ROTATION = 60


def thrown(js: JavaScript, call: str, *args: Any, by: dict[str, Any] | None = None) -> dict[str, Any]:
    with pytest.raises(Threw) as threw:
        js(call, *args, by=by)
    return threw.value.what


def request(token: str | None, **headers: str) -> dict[str, Any]:
    bearer = {} if token is None else {"authorization": f"Bearer {token}"}
    return {"url": "https://app.example.com/", "headers": {**bearer, **headers}}


@pytest.mark.conformance("clerk-backend", 4, 5)
def test_an_error_has_status_code_and_trace(js: JavaScript) -> None:
    wrong = thrown(js, "users.getUserList", by={"secretKey": "sk_test_" + "x" * 40})
    shows(wrong, name="ClerkAPIResponseError", status=401)
    shows(wrong["errors"][0], code="clerk_key_invalid")
    absent = thrown(js, "users.getUser", "user_x")
    assert re.fullmatch(r"[0-9a-f]{32}", absent["traceId"])
    assert absent["traceId"] != wrong["traceId"]
    malformed = thrown(js, "machines.create", {"name": ""})
    (error,) = malformed["errors"]
    shows(error["meta"], paramName="name")
    assert error["longMessage"]


@pytest.mark.conformance("clerk-backend", 7)
def test_a_limit_says_when_to_come_back(js: JavaScript) -> None:
    """Of all the SDK's methods none is limited; its own request function asks for what has none."""
    ada = js("users.createUser", {"emailAddress": [new_address()], "skipPasswordRequirement": True})
    second = {"userId": ada["id"], "emailAddress": new_address()}
    email = js("emailAddresses.createEmailAddress", second)["id"]
    mail_a_code = {"method": "POST", "path": f"/email_addresses/{email}/prepare_verification"}
    js("emailAddresses.request", mail_a_code)
    limited = thrown(js, "emailAddresses.request", mail_a_code)
    shows(limited, status=429)
    assert 0 < limited["retryAfter"] <= 30


@pytest.mark.conformance("clerk-backend", 11)
def test_the_version_that_the_sdk_sends_is_served(js: JavaScript, ada: Visitor) -> None:
    assert js("users.getUserList", {"userId": [ada.user_id]})["totalCount"] == 1


@pytest.mark.conformance("clerk-backend", 31)
def test_the_public_keys_need_no_key(js: JavaScript, server: Server) -> None:
    with server.http() as anybody:
        public = anybody.get("/.well-known/jwks.json").json()["keys"]
    assert public == [
        {name: value for name, value in key.items() if value is not None}
        for key in js("jwks.getJwks")["keys"]
    ]


@pytest.mark.conformance("clerk-backend", 23)
def test_a_wrong_secret_key_is_told_from_a_bad_token(js: JavaScript, ada: Visitor) -> None:
    said = thrown(js, "verifyToken", ada.session_token(), {"secretKey": "sk_test_" + "x" * 40})
    shows(said, reason="secret-key-invalid")


@pytest.mark.conformance("clerk-backend", 25, 26, 27)
def test_the_sdk_follows_a_replaced_key(js: JavaScript, server: Server, ada: Visitor) -> None:
    by_key = {"secretKey": server.secret_key}
    # A server publishes the key that signs next: only the one after it is new to the SDK.
    wait_until(lambda: len(js("jwks.getJwks")["keys"]) > 1, "the next key is not published")
    js("verifyToken", ada.session_token(), {**by_key, "skipJwksCache": True})
    for asked in ([], [JWKS]):
        old = ada.session_token()
        server.rotate()
        new = signed_anew(ada, old)
        # It lives a minute, in which a busy machine may not have replaced the key.
        shows(js("verifyToken", old, {**by_key, "clockSkewInMs": 600_000}), sub=ada.user_id)
        assert js.asked == []
        shows(js("verifyToken", new, by_key), sub=ada.user_id)
        assert js.asked == asked
    now = int(time.time())
    claims = {"sub": ada.user_id, "sid": ada.session_id, "iat": now, "exp": now + 60}
    stranger = sign_jwt(claims, generate_key("RS256", kid="ins_unpublished"), typ="JWT")
    shows(thrown(js, "verifyToken", stranger, by_key), reason="jwk-kid-mismatch")


def signed_anew(visitor: Visitor, old: str) -> str:
    """A token by another key than the one that made `old`."""
    made = [old]

    def is_anew() -> bool:
        made.append(visitor.session_token())
        return header_of(made[-1])["kid"] != header_of(old)["kid"]

    wait_until(is_anew, "the server goes on signing with the replaced key")
    return made[-1]


def wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    """Asks the server again and again; it hears of keys that another process put in."""
    deadline = time.monotonic() + ROTATION
    while not holds():
        assert time.monotonic() < deadline, otherwise


@pytest.mark.conformance("clerk-backend", 28)
def test_our_exported_key_verifies_without_a_network(js: JavaScript, server: Server, ada: Visitor) -> None:
    key, token = server.public_key(), ada.session_token()
    shows(js("verifyToken", token, {"jwtKey": key}), sub=ada.user_id, sid=ada.session_id)
    assert js.asked == []
    state = js("authenticateRequest", request(token), {"jwtKey": key}, by={**js.by, "jwtKey": key})
    shows(state, status="signed-in", tokenType="session_token")
    assert js.asked == []


@pytest.mark.conformance("clerk-backend", 29)
def test_our_publishable_key_leads_to_us(js: JavaScript, server: Server) -> None:
    page = request(None, **{"sec-fetch-dest": "document", "accept": "text/html"})
    state = js("authenticateRequest", page, {})
    shows(state, status="handshake", reason="dev-browser-missing")
    assert state["headers"]["location"].startswith(f"{server.accounts}/v1/client/handshake?")


@pytest.mark.conformance("clerk-backend", 116)
def test_a_revoked_opaque_token_is_refused(js: JavaScript, ada: Visitor, backend: httpx.Client) -> None:
    shop = application(backend, access_token_format="opaque")
    token = ada.access_token(shop)
    wanted = {"acceptsToken": "oauth_token"}
    shows(js("authenticateRequest", request(token), wanted)["auth"], userId=ada.user_id)
    assert js("idPOAuthAccessToken.verify", token)["clientId"] == shop["client_id"]
    js("oauthApplications.revokeToken", {"oauthApplicationId": shop["id"], "token": token})
    state = js("authenticateRequest", request(token), wanted)
    shows(state, status="signed-out", reason="token-invalid", tokenType="oauth_token")
    assert js.refused("idPOAuthAccessToken.verify", token) == (404, "resource_not_found")


@pytest.mark.conformance("clerk-backend", 117)
@pytest.mark.conformance("clerk-frontend", 134)
def test_an_oauth_jwt_is_an_oauth_token(js: JavaScript, ada: Visitor, backend: httpx.Client) -> None:
    shop = application(backend)
    state = js("authenticateRequest", request(ada.access_token(shop)), {"acceptsToken": "any"})
    shows(state, isAuthenticated=True, tokenType="oauth_token")
    shows(state["auth"], userId=ada.user_id, clientId=shop["client_id"])
    assert sorted(state["auth"]["scopes"]) == ["email", "profile"]


@pytest.mark.conformance("clerk-backend", 157)
def test_a_key_of_an_organization_speaks_for_it(js: JavaScript) -> None:
    acme = js("organizations.createOrganization", {"name": "Acme"})["id"]
    key = js("apiKeys.create", {"name": "acme key", "subject": acme, "scopes": ["read"]})["secret"]
    state = js("authenticateRequest", request(key), {"acceptsToken": "api_key"})
    shows(state, isAuthenticated=True, tokenType="api_key")
    shows(state["auth"], orgId=acme, userId=None, scopes=["read"], subject=acme)


@pytest.mark.conformance("clerk-backend-traps", 19)
def test_a_machines_key_alone_verifies_no_jwt(js: JavaScript, server: Server, backend: httpx.Client) -> None:
    receiver = backend.post("/machines", json={"name": "receiver"}).json()
    sender = backend.post("/machines", json={"name": "sender", "scoped_machines": [receiver["id"]]}).json()
    own = {"authorization": f"Bearer {sender['secret_key']}"}
    made = backend.post("/m2m_tokens", json={"token_format": "jwt"}, headers=own).json()
    wanted = {"acceptsToken": "m2m_token"}
    alone = {"machineSecretKey": receiver["secret_key"]}
    state = js("authenticateRequest", request(made["token"]), wanted, by=alone)
    shows(state, status="signed-out", reason="token-verification-failed")
    assert state["message"].startswith("Failed to resolve JWK during verification.")
    with_the_instances = {**alone, "secretKey": server.secret_key}
    state = js("authenticateRequest", request(made["token"]), wanted, by=with_the_instances)
    shows(state, status="signed-in")
    shows(state["auth"], machineId=sender["id"])


@pytest.mark.conformance("clerk-backend-traps", 20)
def test_a_machines_key_as_a_bearer_is_an_api_key_that_is_none(js: JavaScript, backend: httpx.Client) -> None:
    key = backend.post("/machines", json={"name": "careless"}).json()["secret_key"]
    state = js("authenticateRequest", request(key), {"acceptsToken": "any"})
    shows(state, status="signed-out", reason="token-invalid", tokenType="api_key")
    state = js("authenticateRequest", request(key), {"acceptsToken": "m2m_token"})
    shows(state, status="signed-out", reason="token-type-mismatch", tokenType="m2m_token")
    assert js.refused("apiKeys.verify", key) == (404, "resource_not_found")

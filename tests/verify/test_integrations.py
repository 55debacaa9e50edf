"""One list of cases for every framework, each a real server on a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from doorward.verify import Authenticator
from tests.verify.backend_wire import MACHINE_KEY, SECRET_KEY, BackendWire, serving
from tests.verify.frameworks.applications import FRAMEWORKS
from tests.verify.requests_table import BROWSER, LIVE, NOW, TEST, Tokens, suffix

#: One process imports the frameworks and serves their sites, once each.
pytestmark = pytest.mark.xdist_group("frameworks")

ORG = {"id": "org_1", "slg": "acme", "rol": "admin", "per": "read,manage", "fpm": "3"}


def authenticator(wire: BackendWire, key: str = LIVE, **options: Any) -> Authenticator:
    return Authenticator(
        publishable_key=key,
        secret_key=SECRET_KEY,
        machine_secret_key=MACHINE_KEY,
        api_url=wire.url,
        environment={},
        clock=lambda: NOW,
        **options,
    )


@pytest.fixture(scope="module", params=FRAMEWORKS)
def site(request: pytest.FixtureRequest, wire: BackendWire) -> Iterator[str]:
    make, serve = FRAMEWORKS[request.param]
    with serve(make(authenticator(wire))) as url:
        yield url


@pytest.fixture(scope="module", params=FRAMEWORKS)
def remembering_site(request: pytest.FixtureRequest, wire: BackendWire) -> Iterator[str]:
    make, serve = FRAMEWORKS[request.param]
    with serve(make(authenticator(wire, verified_tokens=10))) as url:
        yield url


# One client for all: each would read every certificate of the system anew.
CLIENT = httpx.Client(timeout=30, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


def ask(site: str, path: str, **headers: str) -> httpx.Response:
    CLIENT.cookies.clear()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return CLIENT.get(site + path, headers=named)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_session_is_told_from_its_bearer_token(site: str, tokens: Tokens) -> None:
    answer = ask(site, "/orders", **bearer(tokens.session()))
    assert answer.status_code == 200
    assert answer.json() == {"kind": "session_token", "who": "user_1", "signed_in": True}


def test_a_session_is_told_from_its_cookies(site: str, tokens: Tokens) -> None:
    cookies = f"__session_{suffix(LIVE)}={tokens.session()}; __client_uat_{suffix(LIVE)}={NOW - 60}"
    assert ask(site, "/orders", cookie=cookies, **BROWSER).json()["who"] == "user_1"


def test_a_token_seen_before_is_good_again_but_not_beside_another(
    remembering_site: str, tokens: Tokens
) -> None:
    token = tokens.session()
    for _ in range(3):  # at the first the keys are fetched, at the second the token is remembered
        assert ask(remembering_site, "/orders", **bearer(token)).json()["who"] == "user_1"
    both = [("authorization", f"Bearer {token}"), ("authorization", "Bearer another")]
    assert CLIENT.get(f"{remembering_site}/orders", headers=both).status_code == 401
    assert ask(remembering_site, "/machine", **bearer(token)).status_code == 401


@pytest.mark.conformance("clerk-backend", 173)
def test_who_is_signed_out_learns_why(site: str, tokens: Tokens) -> None:
    answer = ask(site, "/", **bearer(tokens.session(exp=NOW - 60)))
    assert answer.status_code == 200
    assert answer.json() == {"kind": "session_token", "who": None, "signed_in": False}
    assert answer.headers["x-clerk-auth-status"] == "signed-out"
    assert answer.headers["x-clerk-auth-reason"].startswith("session-token-expired-refresh-")


def test_nobody_gets_where_somebody_is_due(site: str) -> None:
    answer = ask(site, "/orders")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-clerk-auth-reason"] == "session-token-and-uat-missing"


@pytest.mark.parametrize(
    "name",
    [
        "forged",
        "expired 6 s ago",
        "template",
        "m2m jwt",
        "oauth jwt",
        "alg none",
        "a word",
        "pending",
        "mt_good",
        "ak_user",
    ],
)
def test_no_other_token_is_a_session(site: str, tokens: Tokens, name: str) -> None:
    answer = ask(site, "/orders", **bearer(tokens.table().get(name, name)))
    assert answer.status_code in (401, 403)
    assert "user_1" not in answer.text


def test_a_permission_decides(site: str, tokens: Tokens) -> None:
    allowed = tokens.session(o=ORG, fea="o:orders")
    assert ask(site, "/reports", **bearer(allowed)).status_code == 200
    for refused in (tokens.session(), tokens.session(o=ORG | {"fpm": "2"}, fea="o:orders")):
        answer = ask(site, "/reports", **bearer(refused))
        assert answer.status_code == 403


def test_a_machine_is_told_from_its_token(site: str, tokens: Tokens) -> None:
    assert ask(site, "/machine", **bearer("mt_good")).json() == {
        "kind": "m2m_token",
        "who": "mch_a",
        "signed_in": True,
    }
    assert ask(site, "/machine", **bearer(tokens.machine())).json()["who"] == "mch_a"
    for refused in ("mt_unknown", "ak_user", tokens.session()):
        assert ask(site, "/machine", **bearer(refused)).status_code in (401, 403)


def test_several_kinds_may_be_let_in(site: str, tokens: Tokens) -> None:
    assert ask(site, "/any", **bearer("ak_user")).json()["kind"] == "api_key"
    assert ask(site, "/any", **bearer(tokens.session())).json()["kind"] == "session_token"
    assert ask(site, "/any", **bearer("mt_good")).status_code in (401, 403)


def test_a_page_in_doubt_is_sent_to_the_accounts_server(site: str, tokens: Tokens) -> None:
    answer = ask(site, "/orders?page=2", cookie=f"__client_uat={NOW - 10}", **BROWSER)
    assert answer.status_code == 307
    location = httpx.URL(answer.headers["location"])
    assert (location.host, location.path) == ("clerk.example.com", "/v1/client/handshake")
    assert location.params["redirect_url"] == f"{site}/orders?page=2"
    assert answer.headers["cache-control"] == "no-store"
    assert "__clerk_redirect_count=1" in answer.headers["set-cookie"]


def test_a_page_that_comes_back_is_signed_in_and_gets_its_cookies(
    site: str, tokens: Tokens, wire: BackendWire
) -> None:
    wire.nonces["two domains"] = [
        "__client_uat=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        f"__client_uat={NOW}; Path=/; Domain=example.com; Secure; SameSite=Lax",
        f"__session={tokens.session(iat=NOW)}; Path=/; Secure; SameSite=Lax",
    ]
    answer = ask(site, "/orders", cookie="__clerk_handshake_nonce=two%20domains", **BROWSER)
    assert answer.json()["who"] == "user_1"
    assert answer.headers.get_list("set-cookie") == wire.nonces["two domains"]


def test_other_origins_and_forwarding_are_seen_through(site: str) -> None:
    answer = ask(
        site,
        "/orders",
        cookie=f"__client_uat={NOW - 10}",
        x_forwarded_host="shop.example.org",
        x_forwarded_proto="https",
        **BROWSER,
    )
    assert httpx.URL(answer.headers["location"]).params["redirect_url"] == "https://shop.example.org/orders"


def test_a_development_handshake_of_strangers_signs_nobody_in(wire: BackendWire, tokens: Tokens) -> None:
    make, serve = FRAMEWORKS["starlette"]
    with serve(make(authenticator(wire, key=TEST))) as site:
        forged = tokens.session(key=tokens.stranger)
        answer = ask(site, f"/orders?__clerk_handshake={forged}", **BROWSER)
        assert answer.status_code == 401
        assert "clear the cookies" in answer.text


def test_missing_keys_are_our_trouble_and_not_the_callers(tokens: Tokens) -> None:
    down = BackendWire(tokens.key)
    with serving(down):
        down.is_down = True
        for name in ("starlette", "flask"):
            make, serve = FRAMEWORKS[name]
            with serve(make(authenticator(down))) as site:
                answer = ask(site, "/orders", **bearer(tokens.session()))
                assert answer.status_code == 503
                assert answer.headers["retry-after"] == "10"


def test_fastapi_documents_its_dependency(wire: BackendWire) -> None:
    make, _ = FRAMEWORKS["fastapi"]
    document = make(authenticator(wire)).openapi()
    assert document["components"]["securitySchemes"]["Doorward"]["scheme"] == "bearer"
    assert document["paths"]["/orders"]["get"]["security"] == [{"Doorward": []}]
    assert "security" not in document["paths"]["/"]["get"]


def test_without_the_middleware_asking_is_a_mistake_and_not_a_stranger() -> None:
    from doorward.verify.integrations.asgi import get_auth

    with pytest.raises(LookupError, match="middleware"):
        get_auth({"type": "http"})

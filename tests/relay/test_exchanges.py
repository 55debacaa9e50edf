"""The conversation that real T3 Code programs had with the real relay, held with ours: status, headers, members, types.

What is expected was read off a recording of T3 Code at commit 00ead3f (command line, server and client runtime against
`infra/relay`); names, keys and times here are our own. In the order of the recording; the environment is one of ours
that answers as the recorded one did.
"""

import json
from typing import Any

import httpx
import pytest

from doorward.jose import peek_claims, peek_header
from tests.relay.servers import listen
from tests.relay.world import World

pytestmark = pytest.mark.anyio

Shape = Any

ENDPOINT: Shape = {"httpBaseUrl": "string", "wsBaseUrl": "string", "providerKind": "string"}
DESCRIPTOR: Shape = {
    "environmentId": "string",
    "label": "string",
    "platform": {"os": "string", "arch": "string"},
    "serverVersion": "string",
    "capabilities": {"repositoryIdentity": "boolean"},
}
ENVIRONMENT: Shape = {
    "environmentId": "string",
    "label": "string",
    "endpoint": ENDPOINT,
    "linkedAt": "string",
}
OUR_MEMBERS = {"services", "connected", "madeAt", "madeFrom"}
"""What we add to an entry of the list (docs/protocol-extensions.md); the recorded clients drop it."""

PENDING: Shape = {
    "status": "string",
    "environmentId": "string",
    "endpoint": ENDPOINT,
    "clientProofKeyThumbprint": "string",
    "approvalStatus": "string",
    "requestedAt": "string",
}
FAILURE: Shape = {"_tag": "string", "code": "string", "reason": "string", "traceId": "string"}
CLAIMS: Shape = dict.fromkeys(("iss", "aud", "sub", "jti"), "string") | dict.fromkeys(
    ("iat", "exp"), "number"
)

TRACE = {"traceparent": "00-32a7e86d005948593a0a86d3d64dbe80-1dc05afa7bd4bea1-01"}


def shape(value: Any) -> Shape:
    """Members and types; a list is told by its first entry."""
    match value:
        case dict():
            return {name: shape(member) for name, member in value.items()}
        case list():
            return [shape(entry) for entry in value[:1]]
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case _:
            return "null"


def recorded(answer: httpx.Response, status: int, expected: Shape, *, no_store: bool = False) -> Any:
    """The body, once it, with its members in their order, and the recorded headers are what the real relay sent."""
    check_head(answer, status, no_store=no_store)
    body = answer.json()
    assert shape(body) == expected
    assert order_of(shape(body)) == order_of(expected)
    assert answer.text == json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return body


def order_of(shape: Shape) -> str:
    """Equal for equal shapes whose members come in one order."""
    return json.dumps(shape)


def check_head(answer: httpx.Response, status: int, *, no_store: bool = False) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "traceparent,www-authenticate"
    if no_store:
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    else:
        assert "cache-control" not in answer.headers
        assert "pragma" not in answer.headers


def token_shape(token: str) -> tuple[Shape, Shape]:
    return peek_header(token), shape(peek_claims(token, dict))


def oauth(world: World) -> dict[str, str]:
    """How the server and the command line authenticate."""
    return {"authorization": f"Bearer {world.accounts.access_token()}", **TRACE}


async def linked(world: World) -> dict[str, Any]:
    return await world.link()


async def test_the_server_links_with_its_owners_access_token(world: World) -> None:
    flags = {"notificationsEnabled": True, "liveActivitiesEnabled": True, "managedTunnelsEnabled": True}
    answer = await world.http.post("/v1/client/environment-link-challenges", json=flags, headers=oauth(world))
    challenge = recorded(answer, 200, {"challenge": "string", "expiresAt": "string"}, no_store=True)
    assert token_shape(challenge["challenge"]) == (
        {"alg": "EdDSA", "typ": "t3-link-challenge+jwt"},
        {"kind": "string", **CLAIMS, **dict.fromkeys(flags, "boolean")},
    )
    proof = world.environment.link_proof(challenge["challenge"])
    answer = await world.http.post(
        "/v1/client/environment-links", json={"proof": proof, **flags}, headers=oauth(world)
    )
    link = recorded(
        answer,
        200,
        {
            "ok": "boolean",
            "cloudUserId": "string",
            "environmentId": "string",
            "endpoint": ENDPOINT,
            "endpointRuntime": {
                "providerKind": "string",
                "connectorToken": "string",
                "tunnelId": "string",
                "tunnelName": "string",
            },
            "relayIssuer": "string",
            "environmentCredential": "string",
            "cloudMintPublicKey": "string",
        },
        no_store=True,
    )
    assert link["ok"] is True
    assert link["relayIssuer"] == world.origin
    assert link["endpoint"]["providerKind"] == link["endpointRuntime"]["providerKind"] == "cloudflare_tunnel"
    assert link["endpoint"]["httpBaseUrl"].endswith("/")
    assert link["endpoint"]["wsBaseUrl"].endswith("/ws")
    pem = link["cloudMintPublicKey"]
    assert pem.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert pem.endswith("\n-----END PUBLIC KEY-----")


async def test_a_client_lists_environments_and_devices(world: World) -> None:
    await linked(world)
    answer = await world.http.get("/v1/environments", headers={**world.bearer(), **TRACE})
    body = answer.json()
    for entry in body["environments"]:
        assert set(entry) - set(ENVIRONMENT) <= OUR_MEMBERS
        for name in OUR_MEMBERS & set(entry):
            del entry[name]
    assert order_of(shape(body)) == order_of({"environments": [ENVIRONMENT]})
    check_head(answer, 200)
    devices = await world.http.get("/v1/client/devices", headers=world.bearer())
    # The recorded relay let devices be stored; later ones, and ours, do not.
    assert recorded(devices, 200, {"devices": []}, no_store=True) == {"devices": []}


async def test_a_client_exchanges_its_session_for_a_key_bound_token(world: World) -> None:
    answer = await world.exchange(scope="environment:status environment:connect")
    body = recorded(
        answer,
        200,
        {
            "access_token": "string",
            "issued_token_type": "string",
            "token_type": "string",
            "expires_in": "number",
            "scope": "string",
        },
        no_store=True,
    )
    assert body["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert (body["token_type"], body["expires_in"]) == ("DPoP", 1800)
    assert body["scope"] == "environment:status environment:connect"
    assert token_shape(body["access_token"]) == (
        {"alg": "EdDSA", "typ": "t3-relay-dpop-access+jwt"},
        {**CLAIMS, "client_id": "string", "scope": "string", "cnf": {"jkt": "string"}},
    )


async def test_a_client_asks_whether_a_machine_is_there(world: World) -> None:
    link = await linked(world)
    descriptor = world.environment.descriptor()
    descriptor["capabilities"] = {"repositoryIdentity": True}
    world.environment.answer_health = lambda request: world.environment.health_answer(
        *world.environment.health_parts(request, descriptor=descriptor)
    )
    token = await world.token()
    headers = {**world.dpop_headers(token, "/v1/environments/env-1/status"), **TRACE}
    body = recorded(
        await world.http.post("/v1/environments/env-1/status", headers=headers),
        200,
        {
            "environmentId": "string",
            "endpoint": ENDPOINT,
            "status": "string",
            "checkedAt": "string",
            "descriptor": DESCRIPTOR,
        },
    )
    assert (body["status"], body["endpoint"]) == ("online", link["endpoint"])
    path, claims, sent = world.environment.received[-1]
    assert path == "/api/t3-connect/health"
    assert shape(claims) == {**CLAIMS, "environmentId": "string", "nonce": "string", "scope": ["string"]}
    assert sent[b"content-type"] == b"application/json"
    assert sent[b"traceparent"].startswith(b"00-32a7e86d005948593a0a86d3d64dbe80-")
    assert b"authorization" not in sent


MINT_CLAIMS: Shape = {
    **CLAIMS,
    "environmentId": "string",
    "clientProofKeyThumbprint": "string",
    "cnf": {"jkt": "string"},
    "client": {"label": "string", "deviceType": "string", "os": "string"},
    "nonce": "string",
    "scope": ["string"],
}


async def connect(world: World) -> httpx.Response:
    thumbprint = world.device.public.thumbprint
    client = {"label": "Driver", "deviceType": "desktop", "os": "Linux"}
    return await world.connect(body={"clientProofKeyThumbprint": thumbprint, "client": client})


async def test_a_client_connects(world: World) -> None:
    await linked(world)
    expected = {
        "environmentId": "string",
        "endpoint": ENDPOINT,
        "credential": "string",
        "expiresAt": "string",
    }
    recorded(await connect(world), 200, expected, no_store=True)
    path, claims, _ = world.environment.received[-1]
    assert path == "/api/t3-connect/mint-credential"
    assert shape(claims) == MINT_CLAIMS
    assert claims["scope"] == ["environment:connect"]
    assert claims["exp"] - claims["iat"] == 120


@pytest.mark.parametrize("decision", ["pending", "rejected"])
async def test_a_client_that_is_not_approved_is_told_so(world: World, decision: str) -> None:
    """After a revocation the environment answers "pending" again: for the relay it is the same exchange."""
    await linked(world)
    world.environment.answer_mint = getattr(world.environment, decision)
    body = recorded(await connect(world), 200, PENDING, no_store=True)
    assert (body["status"], body["approvalStatus"]) == ("pending_approval", decision)
    assert body["clientProofKeyThumbprint"] == world.device.public.thumbprint


async def test_a_machine_that_is_down_is_offline_and_cannot_be_connected_to(world: World) -> None:
    await linked(world)
    nobody_listens = listen()
    port = nobody_listens.getsockname()[1]
    for column in ("endpoint_http_base_url", "endpoint_ws_base_url"):
        await world.execute(
            f"UPDATE relay_environment_links SET {column} = replace({column}, ?, ?)",
            f":{world.relay.settings.endpoint_port}/",
            f":{port}/",
        )
    await world.restart(endpoint_port=port)
    answer = await world.status()
    body = recorded(
        answer,
        200,
        {
            "environmentId": "string",
            "endpoint": ENDPOINT,
            "status": "string",
            "checkedAt": "string",
            "error": "string",
            "traceId": "string",
        },
    )
    assert (body["status"], body["error"]) == ("offline", "Managed endpoint health request failed.")
    assert body["traceId"] in answer.headers["traceparent"]
    failed = recorded(await connect(world), 502, FAILURE, no_store=True)
    assert list(failed) == list(FAILURE)
    assert failed["_tag"] == "RelayEnvironmentEndpointUnavailableError"
    assert failed["code"] == "environment_endpoint_unavailable"
    assert failed["reason"] == "endpoint_request_failed"
    nobody_listens.close()


async def test_an_owner_unlinks_once_and_again(world: World) -> None:
    await linked(world)
    path = "/v1/client/environment-links/env-1"
    first = await world.http.delete(path, headers=oauth(world))
    assert recorded(first, 200, {"ok": "boolean"}) == {"ok": True}
    listed = await world.http.get("/v1/environments", headers=world.bearer())
    assert listed.json() == {"environments": []}
    second = await world.http.delete(path, headers=oauth(world))
    assert recorded(second, 200, {"ok": "boolean"}) == {"ok": False}


async def test_every_start_of_a_server_links_anew(world: World) -> None:
    """There is no question "am I linked": names stay, the environment's credential is another."""
    first, second = await linked(world), await linked(world)
    assert shape(first) == shape(second)
    assert first["environmentCredential"] != second["environmentCredential"]
    same = ("cloudUserId", "environmentId", "endpoint", "relayIssuer", "cloudMintPublicKey")
    assert {name: first[name] for name in same} == {name: second[name] for name in same}


@pytest.mark.parametrize(
    ("method", "path", "challenge"),
    [
        ("GET", "/v1/environments", None),
        ("POST", "/v1/environments/env-1/connect", "DPoP"),
        ("POST", "/v1/environments/env-1/status", "DPoP"),
    ],
)
async def test_a_caller_nobody_knows_is_refused_in_the_shape_of_every_refusal(
    world: World, method: str, path: str, challenge: str | None
) -> None:
    answer = await world.http.request(method, path, headers={"authorization": "Bearer nobody"})
    body = recorded(answer, 401, FAILURE)
    assert (body["_tag"], body["reason"]) == ("RelayAuthInvalidError", "invalid_bearer")
    assert answer.headers.get("www-authenticate") == challenge

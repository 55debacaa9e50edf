"""Framing: what every route does alike, checked on the bytes."""

import asyncio
import contextlib
import json

import pytest

from doorward.relay import AccountsWebhook
from tests.http1.wire import client
from tests.relay import raw
from tests.relay.conftest import OpenWorld
from tests.relay.world import ALL, World

pytestmark = pytest.mark.anyio

CHALLENGES = "/v1/client/environment-link-challenges"
CORS = {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "traceparent,www-authenticate",
}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def challenge_headers(world: World, content_type: str | None = "application/json") -> dict[str, str]:
    return {**world.bearer(), **({"content-type": content_type} if content_type else {})}


@pytest.mark.conformance("connect-relay", 1)
async def test_the_root_leads_to_the_documentation(wire: World) -> None:
    answer = await raw.send(wire, "GET", "/")
    assert (answer.status, answer.headers["location"]) == (302, "/docs")
    assert answer.headers.items() >= CORS.items()
    page = await raw.send(wire, "GET", "/docs")
    assert page.status == 200
    assert b"/v1/environments/{environmentId}/connect" in page.body


@pytest.mark.conformance("connect-relay", 2, 3)
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/unknown"),
        ("PUT", "/v1/environments"),
        ("HEAD", "/v1/environments"),
        ("HEAD", "/"),
        ("POST", "/health"),
        ("GET", "/v1//environments"),
        ("GET", "/v1/environments/env-1/connect"),
        ("POST", "/v1/environments//connect"),
        ("POST", "/v1/environments/%ff/connect"),
    ],
)
async def test_an_unknown_path_and_an_unsupported_method_are_the_same_empty_404(
    wire: World, method: str, target: str
) -> None:
    answer = await raw.send(wire, method, target)
    assert (answer.status, answer.body) == (404, b"")
    assert "content-type" not in answer.headers
    assert answer.headers.items() >= CORS.items()


@pytest.mark.conformance("connect-relay", 4)
@pytest.mark.parametrize("target", ["/v1/environments", "/unknown", "/v1/client/dpop-token", "/"])
async def test_a_preflight_of_any_path_is_answered_without_authentication(wire: World, target: str) -> None:
    answer = await raw.send(wire, "OPTIONS", target)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET,POST,DELETE,OPTIONS"
    assert answer.headers["access-control-allow-headers"] == "authorization,b3,traceparent,content-type,dpop"
    assert answer.headers["access-control-max-age"] == "86400"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.conformance("connect-relay", 5)
async def test_every_answer_exposes_trace_and_challenge_to_browsers(wire: World) -> None:
    answers = [
        await raw.send(wire, "GET", "/health"),
        await raw.send(wire, "GET", "/v1/environments", wire.bearer()),
        await raw.send(wire, "GET", "/v1/environments"),
        await raw.send(wire, "POST", CHALLENGES, challenge_headers(wire), b"{}"),
        await raw.send(wire, "POST", CHALLENGES, challenge_headers(wire, "text/plain"), b"{}"),
    ]
    assert [answer.status for answer in answers] == [200, 200, 401, 400, 415]
    assert all(answer.headers.items() >= CORS.items() for answer in answers)
    assert all("traceparent" in answer.headers for answer in answers)


@pytest.mark.conformance("connect-relay", 6)
@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"notificationsEnabled":1,"liveActivitiesEnabled":true,"managedTunnelsEnabled":true}',
        b"[" * 60_000,
    ],
)
async def test_a_body_outside_the_schema_is_an_empty_400(wire: World, body: bytes) -> None:
    answer = await raw.send(wire, "POST", CHALLENGES, challenge_headers(wire), body)
    assert (answer.status, answer.body) == (400, b"")
    assert "content-type" not in answer.headers
    assert answer.headers.items() >= CORS.items()
    assert "cache-control" not in answer.headers


@pytest.mark.conformance("connect-relay", 7)
async def test_bad_authentication_wins_over_a_bad_body(wire: World) -> None:
    headers = {"authorization": "Bearer nonsense", "content-type": "application/json"}
    answer = await raw.send(wire, "POST", CHALLENGES, headers, b"{")
    assert answer.status == 401
    assert json.loads(answer.body)["reason"] == "invalid_bearer"
    assert "cache-control" not in answer.headers


@pytest.mark.conformance("connect-relay", 8)
@pytest.mark.parametrize("content_type", ["text/plain", "text/plain; charset=utf-8"])
async def test_another_media_type_is_named_in_the_415(wire: World, content_type: str) -> None:
    answer = await raw.send(wire, "POST", CHALLENGES, challenge_headers(wire, content_type), b"{}")
    assert (answer.status, answer.body) == (415, b"Unsupported content-type: text/plain")
    assert answer.headers["content-type"] == "text/plain"


@pytest.mark.conformance("connect-relay", 9, 10, 11)
@pytest.mark.parametrize("content_type", [None, "application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_taken_with_parameters_in_any_case_and_without_a_type(
    wire: World, content_type: str | None
) -> None:
    body = json.dumps({**ALL, "somethingNew": {"a": 1}}).encode()
    answer = await raw.send(wire, "POST", CHALLENGES, challenge_headers(wire, content_type), body)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")


@pytest.mark.conformance("connect-relay", 12)
async def test_an_optional_member_may_be_null_and_a_blank_string_is_none(wire: World) -> None:
    proof = wire.environment.link_proof(await wire.challenge())
    for blank in (await wire.post_link("  \t "), await wire.post_link(proof, deviceId="   ")):
        assert (blank.status_code, blank.content) == (400, b"")
    assert (await wire.post_link(f"  {proof} ", deviceId=None)).status_code == 200
    assert await wire.rows("SELECT created_by_device_id FROM relay_environment_links") == [(None,)]


@pytest.mark.conformance("connect-relay", 13)
@pytest.mark.parametrize("client", [{"label": None}, {"deviceType": "watch"}, {"label": " "}, "phone"])
async def test_client_metadata_outside_its_schema_is_refused(wire: World, client: object) -> None:
    await wire.link()
    thumbprint = wire.device.public.thumbprint
    refused = await wire.connect(body={"clientProofKeyThumbprint": thumbprint, "client": client})
    assert (refused.status_code, refused.content) == (400, b"")
    absent = await wire.connect(body={"clientProofKeyThumbprint": thumbprint, "client": None})
    assert absent.status_code == 200
    assert "client" not in wire.environment.received[-1][1]


@pytest.mark.conformance("connect-relay", 14)
async def test_a_trailing_slash_changes_nothing(wire: World) -> None:
    assert (await raw.send(wire, "GET", "/v1/environments/", wire.bearer())).body == b'{"environments":[]}'
    assert (await raw.send(wire, "GET", "/v1/environments//", wire.bearer())).status == 404


@pytest.mark.conformance("connect-relay", 15, 16)
async def test_an_error_begins_with_its_tag_and_ends_with_the_trace_of_the_response(wire: World) -> None:
    parent = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    answer = await raw.send(wire, "GET", "/v1/environments", parent)
    assert answer.headers["content-type"] == "application/json"
    assert (
        answer.body
        == (
            '{"_tag":"RelayAuthInvalidError","code":"auth_invalid","reason":"invalid_bearer",'
            f'"traceId":"{TRACE}"}}'
        ).encode()
    )
    assert answer.headers["traceparent"].split("-")[1] == TRACE
    assert answer.headers["traceparent"].split("-")[2] != "00f067aa0ba902b7"


@pytest.mark.conformance("connect-relay", 16)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": "nonsense"},
        {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
        {"traceparent": f"ff-{TRACE}-00f067aa0ba902b7-01"},
    ],
)
async def test_without_a_usable_parent_a_new_trace_begins(wire: World, headers: dict[str, str]) -> None:
    answer = await raw.send(wire, "GET", "/v1/environments", headers)
    trace_id = json.loads(answer.body)["traceId"]
    assert len(trace_id) == 32
    assert trace_id not in (TRACE, "0" * 32)
    assert answer.headers["traceparent"].startswith(f"00-{trace_id}-")


async def test_a_b3_header_names_the_trace_too(wire: World) -> None:
    answer = await raw.send(wire, "GET", "/v1/environments", {"b3": f"{TRACE}-00f067aa0ba902b7-1"})
    assert json.loads(answer.body)["traceId"] == TRACE


@pytest.mark.conformance("connect-relay", 17)
async def test_a_path_parameter_is_percent_decoded_and_trimmed(wire: World) -> None:
    wire.environment.environment_id = "env/ 1"
    await wire.link()
    answer = await raw.send(wire, "DELETE", "/v1/client/environment-links/%20env%2F%201%20", wire.bearer())
    assert answer.body == b'{"ok":true}'
    blank = await raw.send(wire, "DELETE", "/v1/client/environment-links/%20", wire.bearer())
    assert (blank.status, blank.body) == (400, b"")


@pytest.mark.conformance("connect-relay", 18)
@pytest.mark.parametrize(("strict_base", "longest"), [(False, 512), (True, 100)])
async def test_a_path_parameter_ends_at_its_limit(
    open_wire: OpenWorld, strict_base: bool, longest: int
) -> None:
    world = await open_wire(strict_base=strict_base)
    path = "/v1/client/environment-links/"
    assert (await raw.send(world, "DELETE", path + "x" * longest, world.bearer())).status == 200
    assert (await raw.send(world, "DELETE", path + "x" * (longest + 1), world.bearer())).status == 404


@pytest.mark.conformance("connect-relay", 19)
async def test_health_tells_whether_the_database_answers(wire: World) -> None:
    answer = await raw.send(wire, "GET", "/health")
    assert (answer.status, answer.body) == (200, b'{"ok":true,"service":"relay"}')
    await wire.database.close()
    down = await raw.send(wire, "GET", "/health")
    assert down.status == 500
    assert json.loads(down.body) == {
        "_tag": "RelayInternalError",
        "code": "internal_error",
        "reason": "database_unavailable",
        "traceId": down.headers["traceparent"].split("-")[1],
    }


@pytest.mark.conformance("connect-relay", 20)
async def test_metadata_names_the_normalised_issuer(open_wire: OpenWorld) -> None:
    world = await open_wire(origin="https://r/")
    issuer = json.loads((await raw.send(world, "GET", "/.well-known/oauth-authorization-server")).body)
    scopes = ["environment:connect", "environment:status", "mobile:registration"]
    assert issuer == {
        "issuer": "https://r",
        "token_endpoint": "https://r/v1/client/dpop-token",
        "grant_types_supported": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "token_endpoint_auth_methods_supported": ["none"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "scopes_supported": scopes,
        "doorward_managed_endpoints": "embedded",
    }
    resource = json.loads((await raw.send(world, "GET", "/.well-known/oauth-protected-resource")).body)
    assert resource == {
        "resource": "https://r",
        "authorization_servers": ["https://r"],
        "scopes_supported": scopes,
        "dpop_bound_access_tokens_required": True,
        "dpop_signing_alg_values_supported": ["ES256"],
    }


async def test_the_api_describes_itself_as_openapi(wire: World) -> None:
    document = json.loads((await raw.send(wire, "GET", "/openapi.json")).body)
    assert (document["openapi"], document["info"]["title"]) == ("3.1.0", "T3 Code Relay API")
    assert document["components"]["securitySchemes"]["dpop"] == {"type": "http", "scheme": "DPoP"}
    connect = document["paths"]["/v1/environments/{environmentId}/connect"]["post"]
    assert connect["security"] == [{"dpop": []}]
    assert connect["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/ConnectRequest")


async def test_the_document_tells_of_every_refusal_by_its_status_and_shape(open_wire: OpenWorld) -> None:
    """That each real answer is one of these, `World` holds every other test here to."""
    world = await open_wire(accounts_webhook=AccountsWebhook(secret="whsec_" + "A" * 32))
    document = json.loads((await raw.send(world, "GET", "/openapi.json")).body)

    def told(method: str, path: str) -> dict[str, set[str]]:
        """Status to the tags (or other names) of what it may hold; nothing for no body."""
        found: dict[str, set[str]] = {}
        for status, answer in document["paths"][path][method]["responses"].items():
            assert answer["description"]
            names = found[status] = set()
            for media_type, content in answer["content"].items():
                for shape in content["schema"].get("anyOf", []):
                    name = shape["$ref"].rpartition("/")[2]
                    properties = document["components"]["schemas"][name]["properties"]
                    names |= set(properties.get("_tag", {}).get("enum", [name]))
                if media_type != "application/json":
                    names.add(media_type)
        return found

    auth, internal, rate = "RelayAuthInvalidError", "RelayInternalError", "RelayRateLimitedError"
    every = {"500": {internal}, "504": {"DeadlineExceeded"}}
    body = {"400": set(), "413": set(), "415": {"text/plain"}}
    below = {"400": set(), "404": set()}
    assert told("get", "/v1/environments") == {**every, "200": {"EnvironmentList"}, "401": {auth}}
    assert told("get", "/health") == {**every, "200": {"RelayHealth"}}
    assert told("post", "/v1/webhooks/accounts") == {**every, **body, "204": set(), "401": {auth}}
    assert told("post", "/v1/client/environment-links") == {
        "200": {"LinkResponse"},
        "400": {"RelayEnvironmentLinkProofInvalidError"},
        "401": {auth, "RelayEnvironmentLinkProofExpiredError"},
        "403": {"RelayEnvironmentLinkLimitExceededError"},
        "413": set(),
        "415": {"text/plain"},
        "429": {rate},
        "500": {internal, "RelayEnvironmentLinkFailedError"},
        "503": {"RelayEnvironmentLinkUnavailableError"},
        "504": {"DeadlineExceeded"},
    }
    assert told("post", "/v1/environments/{environmentId}/connect") == {
        **body,
        **below,
        "200": {"ConnectAuthorized", "ConnectPending"},
        "401": {auth},
        "403": {"RelayEnvironmentConnectNotAuthorizedError"},
        "429": {rate},
        "500": {internal},
        "502": {"RelayEnvironmentEndpointUnavailableError"},
        "504": {"DeadlineExceeded", "RelayEnvironmentEndpointTimedOutError"},
    }
    assert told("put", "/v1/environments/{environmentId}/services/{name}") == {
        **every,
        **below,
        "200": {"ServiceRegistration"},
        "401": {auth},
        "409": {"RelayServiceNameTakenError", "RelayServiceNameLimitError"},
        "422": {"RelayServiceNameRefusedError"},
    }


async def test_a_body_over_64_kib_is_refused_with_and_without_a_length(wire: World) -> None:
    big = b'{"a":"' + b"x" * 65_536 + b'"}'
    assert (await raw.send(wire, "POST", CHALLENGES, challenge_headers(wire), big)).status == 413
    chunked = f"{len(big):x}\r\n".encode() + big + b"\r\n0\r\n\r\n"
    fields = {**challenge_headers(wire), "host": "x", "transfer-encoding": "chunked", "connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    async with client(wire.port) as sender:
        with contextlib.suppress(ConnectionError):
            await sender.send(f"POST {CHALLENGES} HTTP/1.1\r\n{head}\r\n".encode() + chunked)
        assert (await sender.head())[0] == 413


async def test_a_request_that_takes_too_long_is_cut_by_the_deadline(open_wire: OpenWorld) -> None:
    world = await open_wire(request_deadline=0.4, environment_timeout=0.39)
    headers = {**challenge_headers(world), "content-length": "100"}
    answer = await asyncio.wait_for(raw.send(world, "POST", CHALLENGES, headers), 30)
    assert (answer.status, answer.body) == (504, b'{"error":"relay_request_deadline_exceeded"}')
    assert answer.headers.items() >= CORS.items()

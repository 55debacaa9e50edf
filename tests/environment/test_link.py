"""Link proof, relay configuration, link state, unlink (checklist 76-94)."""

import uuid
from typing import Any

import pytest

from doorward.environment.access import MACHINE
from doorward.environment.keys import names
from doorward.http1 import Answer, Peer, RequestHead
from doorward.jose import generate_key, verify_jwt
from doorward.t3_connect.messages import EndpointRuntime
from doorward.t3_connect.scopes import STANDARD_SCOPES
from doorward.tunnel import ConnectorToken
from doorward.tunnel.connector import Connector
from tests.environment.conftest import RELAY, USER, Machine, MakeMachine
from tests.environment.test_secrets import disk_that_takes

pytestmark = pytest.mark.anyio


def tunnel_token(*, generation: int = 1) -> str:
    return ConnectorToken(
        edge_url="https://edge.localhost:8445",
        hostnames=["box-0123456789abcdef.env.example.test", "demo.env.example.test"],
        environment_id="tunnel-1",
        generation=generation,
        seed=b"\x01" * 32,
    ).encode()


TUNNEL = EndpointRuntime(
    provider_kind="cloudflare_tunnel", connector_token=tunnel_token(), tunnel_id="tunnel-1"
)
TO_NOWHERE = ConnectorToken(
    edge_url="nonsense", hostnames=[], environment_id="t", generation=1, seed=b"\x01" * 32
).encode()


async def nobody(head: RequestHead, peer: Peer) -> Answer:
    return Answer(404, [], b"")


PROOF_REQUEST = {
    "challenge": "challenge-1",
    "relayIssuer": "https://r.example/",
    "endpoint": {
        "httpBaseUrl": "http://127.0.0.1:3773",
        "wsBaseUrl": "ws://127.0.0.1:3773",
        "providerKind": "cloudflare_tunnel",
    },
    "origin": {"localHttpHost": "127.0.0.1", "localHttpPort": 3773},
}


def configuration(machine: Machine, **changes: Any) -> dict[str, Any]:
    return {
        "relayUrl": RELAY,
        "relayIssuer": RELAY,
        "cloudUserId": USER,
        "environmentCredential": "t3env_secret",
        "cloudMintPublicKey": machine.relay.key.public.to_pem(),
        "endpointRuntime": None,
        **changes,
    }


@pytest.fixture
async def unlinked(make_machine: MakeMachine) -> Machine:
    return await make_machine(linked=False)


@pytest.mark.conformance("connect-environment", 76, 82)
async def test_a_local_request_gets_a_proof_that_says_who_and_where_this_machine_is(
    unlinked: Machine,
) -> None:
    owner = await unlinked.bearer()
    answer = await unlinked.local.post("/api/connect/link-proof", json=PROOF_REQUEST, headers=owner)
    assert answer.status_code == 200
    key = unlinked.environment.keys.link_key().public
    claims = verify_jwt(
        answer.json(),
        key,
        claims=dict,
        now=unlinked.clock() // 1000,
        typ="t3-env-link+jwt",
        audience="https://r.example",
    ).claims
    assert claims["iss"] == f"t3-env:{unlinked.id}"
    assert claims["sub"] == claims["environmentId"] == claims["descriptor"]["environmentId"] == unlinked.id
    assert claims["iat"] == unlinked.clock() // 1000
    assert claims["exp"] == claims["iat"] + 300
    assert uuid.UUID(claims["jti"]).version == 4
    descriptor = await unlinked.local.get("/.well-known/t3/environment")
    assert claims["descriptor"] == descriptor.json()
    assert claims["environmentPublicKey"] == key.to_pem().strip()
    assert claims["challenge"] == "challenge-1"
    assert (claims["endpoint"], claims["origin"]) == (PROOF_REQUEST["endpoint"], PROOF_REQUEST["origin"])
    assert claims["scopes"] == ["agent_activity_notifications", "managed_tunnels"]


@pytest.mark.conformance("connect-environment", 76)
@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("localhost:3773", "LOCALHOST"),
        ("[::1]:3773", " ::1 "),
        ("[::1]:3773", "[::1]"),
        ("LocalHost:3773", "127.0.0.1"),
    ],
)
async def test_every_name_of_loopback_is_this_machine(unlinked: Machine, host: str, named: str) -> None:
    owner = await unlinked.bearer()
    answer = await unlinked.local.post(
        "/api/connect/link-proof",
        json={**PROOF_REQUEST, "origin": {"localHttpHost": named, "localHttpPort": 3773}},
        headers={**owner, "host": host},
    )
    assert answer.status_code == 200


@pytest.mark.conformance("connect-environment", 77, 78, 79, 80, 81)
@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"origin": {"localHttpHost": "10.0.0.1", "localHttpPort": 3773}}, {}),
        ({"origin": {"localHttpHost": "127.0.0.1", "localHttpPort": 3774}}, {}),
        ({"endpoint": {**PROOF_REQUEST["endpoint"], "providerKind": "manual"}}, {}),  # type: ignore[dict-item]
        ({}, {"host": "box.env.example.test"}),
        ({}, {"host": "machine.localhost:3773"}),
        ({}, {"host": "127.0.0.1"}),
        ({}, {"host": "127.0.0.1:notaport"}),
        ({}, {"x-forwarded-host": "]["}),
        ({}, {"x-forwarded-host": "127.0.0.1:3773"}),
        ({}, {"x-forwarded-proto": "http, https"}),
    ],
    ids=str,
)
async def test_a_proof_is_signed_for_this_machine_itself_and_nobody_else(
    unlinked: Machine, body: dict[str, Any], headers: dict[str, str]
) -> None:
    owner = await unlinked.bearer()
    answer = await unlinked.local.post(
        "/api/connect/link-proof", json={**PROOF_REQUEST, **body}, headers={**owner, **headers}
    )
    assert answer.status_code == 400
    assert answer.json() == {
        "_tag": "EnvironmentHttpBadRequestError",
        "message": "Invalid managed endpoint origin.",
    }


async def test_a_foreign_page_gets_no_proof(unlinked: Machine) -> None:
    owner = await unlinked.bearer()
    headers = {**owner, "origin": "https://evil.example"}
    answer = await unlinked.local.post("/api/connect/link-proof", json=PROOF_REQUEST, headers=headers)
    assert answer.status_code == 403


@pytest.mark.conformance("connect-environment", 83)
async def test_a_proof_needs_the_scope_and_the_machines_own_door(unlinked: Machine) -> None:
    standard = await unlinked.bearer(*STANDARD_SCOPES)
    answer = await unlinked.local.post("/api/connect/link-proof", json=PROOF_REQUEST, headers=standard)
    assert (answer.status_code, answer.json()["requiredScope"]) == (403, "relay:write")
    owner = await unlinked.bearer()
    outside = await unlinked.public.post("/api/connect/link-proof", json=PROOF_REQUEST, headers=owner)
    assert outside.status_code == 404


@pytest.mark.conformance("connect-environment", 84, 85)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"relayUrl": "http://relay.example.test"}, "Relay URL must be a secure absolute HTTPS URL."),
        ({"relayUrl": f"{RELAY}/path"}, "Relay URL must be a secure absolute HTTPS URL."),
        ({"relayUrl": f"{RELAY}/?q"}, "Relay URL must be a secure absolute HTTPS URL."),
        ({"relayUrl": f"{RELAY}/#f"}, "Relay URL must be a secure absolute HTTPS URL."),
        ({"relayUrl": "https://me:x@relay.example.test"}, "Relay URL must be a secure absolute HTTPS URL."),
        # In the order of the protocol: the first fault is the one that is told.
        (
            {"relayUrl": "nonsense", "relayIssuer": "nonsense"},
            "Relay URL must be a secure absolute HTTPS URL.",
        ),
        (
            {"relayIssuer": "nonsense", "environmentCredential": " "},
            "Relay issuer must be a secure absolute HTTPS URL.",
        ),
        ({"environmentCredential": " ", "cloudUserId": " "}, "Relay environment credential is required."),
        ({"cloudUserId": " ", "cloudMintPublicKey": "garbage"}, "Cloud user id is required."),
        ({"relayIssuer": "nonsense"}, "Relay issuer must be a secure absolute HTTPS URL."),
        ({"environmentCredential": " "}, "Relay environment credential is required."),
        ({"cloudUserId": " "}, "Cloud user id is required."),
        ({"cloudMintPublicKey": "garbage"}, "Cloud mint public key must be a valid Ed25519 public key."),
        (
            {"cloudMintPublicKey": generate_key("ES256").public.to_pem()},
            "Cloud mint public key must be a valid Ed25519 public key.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else str(sorted(value)),
)
async def test_a_configuration_with_a_fault_is_refused_whole(
    unlinked: Machine, change: dict[str, Any], message: str
) -> None:
    owner = await unlinked.bearer()
    answer = await unlinked.local.post(
        "/api/connect/relay-config", json=configuration(unlinked, **change), headers=owner
    )
    assert answer.status_code == 400
    assert answer.json() == {"_tag": "EnvironmentHttpBadRequestError", "message": message}
    assert (await unlinked.local.get("/api/connect/link-state", headers=owner)).json()["linked"] is False
    for name in names.LINK_SECRETS:
        assert unlinked.environment.secrets.get(name) is None, name


@pytest.mark.conformance("connect-environment", 85)
async def test_a_pem_that_passed_through_an_environment_variable_is_taken(unlinked: Machine) -> None:
    owner = await unlinked.bearer()
    pem = unlinked.relay.key.public.to_pem().replace("\n", "\\n")
    body = configuration(unlinked, cloudMintPublicKey=pem)
    assert (
        await unlinked.local.post("/api/connect/relay-config", json=body, headers=owner)
    ).status_code == 200
    proof = unlinked.relay.health(unlinked.id)
    assert (await unlinked.public.post("/api/t3-connect/health", json={"proof": proof})).status_code == 200


@pytest.mark.conformance("connect-environment", 86)
async def test_another_account_does_not_take_a_linked_machine_over(machine: Machine) -> None:
    owner = await machine.bearer()
    secrets = machine.environment.secrets
    before = {name: secrets.get(name) for name in names.LINK_SECRETS}
    body = configuration(
        machine, cloudUserId="user_other", environmentCredential="other", relayUrl="https://other.example"
    )
    answer = await machine.local.post("/api/connect/relay-config", json=body, headers=owner)
    assert answer.status_code == 409
    assert answer.json() == {
        "_tag": "EnvironmentHttpConflictError",
        "message": "This environment is already linked to a different cloud account."
        " Unlink it before switching accounts.",
    }
    assert {name: secrets.get(name) for name in names.LINK_SECRETS} == before


@pytest.mark.conformance("connect-environment", 87)
@pytest.mark.parametrize(
    ("runtime", "status"),
    [
        ({"providerKind": "cloudflare_tunnel", "connectorToken": "not-for-us", "tunnelId": "t"}, "failed"),
        ({"providerKind": "cloudflare_tunnel", "connectorToken": TO_NOWHERE}, "failed"),
        ({"providerKind": "t3_relay", "connectorToken": "x"}, "unsupported"),
    ],
    ids=["another's token", "a token to nowhere", "another kind"],
)
async def test_a_connector_that_cannot_start_is_told_with_its_reason_and_nothing_is_kept(
    unlinked: Machine, runtime: dict[str, str], status: str
) -> None:
    unlinked.environment.supervisor.use(lambda made: Connector(made, router=nobody))
    owner = await unlinked.bearer()
    body = configuration(unlinked, endpointRuntime=runtime)
    answer = await unlinked.local.post("/api/connect/relay-config", json=body, headers=owner)
    for name in names.LINK_SECRETS:
        assert unlinked.environment.secrets.get(name) is None, name
    assert answer.status_code == 503
    assert answer.json()["_tag"] == "EnvironmentCloudEndpointUnavailableError"
    assert answer.json()["message"] == "Managed endpoint runtime could not be started."
    told = answer.json()["endpointRuntimeStatus"]
    assert told["status"] == status
    assert status == "unsupported" or told["reason"]
    assert runtime["connectorToken"] == "x" or runtime["connectorToken"] not in answer.text
    assert (await unlinked.local.get("/api/connect/link-state", headers=owner)).json()["linked"] is False


@pytest.mark.conformance("connect-environment", 88, 89, 90)
async def test_a_good_configuration_links_and_the_state_says_so(unlinked: Machine) -> None:
    owner = await unlinked.bearer()
    unlinked.environment.secrets.set(names.ENDPOINT_RUNTIME, b"{}")
    body = configuration(unlinked, relayUrl=f"{RELAY}/")
    del body["relayIssuer"]
    for _ in range(2):
        answer = await unlinked.local.post("/api/connect/relay-config", json=body, headers=owner)
        assert answer.json() == {"ok": True, "endpointRuntimeStatus": {"status": "disabled"}}
    assert unlinked.environment.secrets.get(names.ENDPOINT_RUNTIME) is None
    state = await unlinked.local.get("/api/connect/link-state", headers=owner)
    assert state.json() == {
        "linked": True,
        "cloudUserId": USER,
        "relayUrl": RELAY,
        "relayIssuer": RELAY,
        "publishAgentActivity": False,
        "connectSecurityMode": "client-approval",
    }


@pytest.mark.conformance("connect-environment", 91)
async def test_linking_is_never_started_over_http(machine: Machine) -> None:
    owner = await machine.bearer()
    for door in (machine.local, machine.public):
        assert (await door.post("/api/connect/reconcile", headers=owner)).status_code == 404


FORGOTTEN = (
    "cloud-linked-user-id",
    "cloud-relay-url",
    "cloud-relay-issuer",
    "cloud-relay-environment-credential",
    "cloud-mint-ed25519-public-key",
    "cloud-endpoint-runtime-config",
    "cloud-publish-agent-activity",
    "cloud-cli-desired-link",
)


@pytest.mark.conformance("connect-environment", 92)
async def test_unlinking_forgets_the_link_and_nothing_else(machine: Machine) -> None:
    device = machine.device()
    await machine.admit(device)
    owner = await machine.bearer()
    secrets = machine.environment.secrets
    supervisor = machine.environment.supervisor
    supervisor.use(lambda made: Connector(made, router=nobody))
    await machine.link(endpoint_runtime=TUNNEL)
    await machine.environment.link.prefer(MACHINE, publish_agent_activity=True)
    secrets.set(names.CLI_TOKEN, b"{}")
    machine.environment.link.want()
    key = machine.environment.keys.public_pem()
    assert (supervisor.status.status, supervisor.connector is None) == ("running", False)
    assert None not in [secrets.get(name) for name in FORGOTTEN]
    for _ in range(2):
        answer = await machine.local.post("/api/connect/unlink", headers=owner)
        assert answer.status_code == 200
        assert answer.json() == {"ok": True, "endpointRuntimeStatus": {"status": "disabled"}}
        assert supervisor.connector is None
        for name in FORGOTTEN:
            assert secrets.get(name) is None, name
    assert machine.environment.keys.public_pem() == key
    assert secrets.get(names.CLI_TOKEN) == b"{}"
    assert machine.environment.modes.read() == "client-approval"
    assert [client.status for client in await machine.environment.approvals.list(MACHINE)] == ["approved"]
    assert (await machine.ask_mint(device)).status_code == 500


async def test_no_visit_lives_on_into_the_link_of_another_account(machine: Machine) -> None:
    device = machine.device()
    await machine.admit(device)
    unused = (await machine.ask_mint(device)).json()["credential"]
    await machine.environment.unlink(MACHINE)
    await machine.link(cloud_user_id="user_other")
    assert (await machine.as_device(device, "GET", "/api/auth/session")).json()["authenticated"] is False
    assert (await machine.exchange(unused, device)).status_code == 401


@pytest.mark.conformance("connect-environment", 93)
async def test_a_preference_is_shown_and_survives_a_restart(
    machine: Machine, make_machine: MakeMachine
) -> None:
    async def shown(asked: Machine) -> object:
        state = await asked.local.get("/api/connect/link-state", headers=await asked.bearer())
        return state.json()["publishAgentActivity"]

    owner = await machine.bearer()
    for wanted in (False, True):
        body = {"publishAgentActivity": wanted}
        answer = await machine.local.post("/api/connect/preferences", json=body, headers=owner)
        assert answer.json()["publishAgentActivity"] is wanted
        assert await shown(machine) is wanted
    later = await make_machine(linked=False, home=machine.environment.settings.home)
    assert await shown(later) is True


@pytest.mark.conformance("connect-environment", 94)
async def test_an_unreadable_mode_is_shown_as_unknown_and_never_as_account(machine: Machine) -> None:
    machine.environment.secrets.set(names.SECURITY_MODE, b"x")
    owner = await machine.bearer()
    state = await machine.local.get("/api/connect/link-state", headers=owner)
    assert (state.status_code, state.json()["connectSecurityMode"]) == (200, None)
    kept = await machine.local.post(
        "/api/connect/preferences", json={"publishAgentActivity": True}, headers=owner
    )
    assert (kept.status_code, kept.json()["connectSecurityMode"]) == (200, None)
    assert machine.environment.secrets.get(names.PUBLISH_ACTIVITY) == b"true"


async def test_a_configuration_that_cannot_be_stored_leaves_the_link_and_its_tunnel_as_they_were(
    machine: Machine,
) -> None:
    environment, owner = machine.environment, await machine.bearer()
    environment.supervisor.use(lambda made: Connector(made, router=nobody))
    await machine.link(endpoint_runtime=TUNNEL)
    before = {name: environment.secrets.get(name) for name in names.LINK_SECRETS}
    body = configuration(
        machine,
        relayUrl="https://other.example",
        environmentCredential="other",
        cloudMintPublicKey=generate_key("EdDSA").public.to_pem(),
        endpointRuntime={
            "providerKind": "cloudflare_tunnel",
            "connectorToken": tunnel_token(generation=2),
            "tunnelId": "tunnel-1",
        },
    )
    # Enough for everything but the connector's configuration, which comes last.
    with disk_that_takes(200):
        answer = await machine.local.post("/api/connect/relay-config", json=body, headers=owner)
    assert answer.status_code == 500
    assert answer.json() == {
        "_tag": "EnvironmentHttpInternalServerError",
        "message": "Could not persist environment relay configuration.",
    }
    assert {name: environment.secrets.get(name) for name in names.LINK_SECRETS} == before
    assert environment.supervisor.config == TUNNEL
    assert environment.supervisor.status.status == "running"


@pytest.mark.parametrize(("stored", "status"), [(None, "running"), (b"{", "disabled")])
async def test_the_next_start_opens_the_tunnel_of_the_stored_link_if_it_can_be_read(
    machine: Machine, make_machine: MakeMachine, stored: bytes | None, status: str
) -> None:
    machine.environment.supervisor.use(lambda made: Connector(made, router=nobody))
    await machine.link(endpoint_runtime=TUNNEL)
    if stored is not None:
        machine.environment.secrets.set(names.ENDPOINT_RUNTIME, stored)
    later = (await make_machine(linked=False, home=machine.environment.settings.home)).environment
    later.supervisor.use(lambda made: Connector(made, router=nobody))
    assert (await later.link.resume()).status == status


def break_secret(machine: Machine, name: str) -> None:
    """A folder in its place: whatever is asked of the secret fails, root's questions too."""
    path = machine.environment.settings.state_dir / "secrets" / f"{name}.bin"
    path.unlink(missing_ok=True)
    path.mkdir()


@pytest.mark.parametrize(
    ("broken", "method", "path", "body", "message"),
    [
        (
            names.LINKED_USER,
            "POST",
            "/api/connect/relay-config",
            "configuration",
            "Could not verify the linked cloud account.",
        ),
        (
            names.RELAY_URL,
            "GET",
            "/api/connect/link-state",
            None,
            "Could not read environment relay configuration.",
        ),
        (
            names.RELAY_ISSUER,
            "POST",
            "/api/connect/unlink",
            None,
            "Could not remove environment relay configuration.",
        ),
        (
            names.PUBLISH_ACTIVITY,
            "POST",
            "/api/connect/preferences",
            {"publishAgentActivity": True},
            "Could not persist environment cloud preferences.",
        ),
        (
            names.LINK_KEY_PAIR,
            "POST",
            "/api/connect/link-proof",
            PROOF_REQUEST,
            "Could not generate environment link proof.",
        ),
        (
            names.LINKED_USER,
            "POST",
            "/api/t3-connect/health",
            "health",
            "Could not read the linked cloud account.",
        ),
        (names.LINK_KEY_PAIR, "POST", "/api/t3-connect/health", "health", "Failed to sign cloud health JWT."),
        (
            names.LINK_KEY_PAIR,
            "POST",
            "/api/t3-connect/mint-credential",
            "mint",
            "Failed to sign cloud mint JWT.",
        ),
    ],
    ids=lambda value: value.rpartition("/")[2] if isinstance(value, str) and value[0] == "/" else None,
)
async def test_a_secret_that_fails_is_told_by_what_could_not_be_done(
    machine: Machine, broken: str, method: str, path: str, body: object, message: str
) -> None:
    owner = await machine.bearer()
    break_secret(machine, broken)
    asked = {
        "configuration": configuration(machine),
        "health": {"proof": machine.relay.health(machine.id)},
        "mint": {"proof": machine.relay.mint(machine.id, machine.device().thumbprint)},
    }
    door = machine.public if body in ("health", "mint") else machine.local
    json = asked[body] if isinstance(body, str) else body
    answer = await door.request(method, path, json=json, headers={} if door is machine.public else owner)
    assert answer.status_code == 500
    assert answer.json() == {"_tag": "EnvironmentHttpInternalServerError", "message": message}


async def test_a_link_made_by_a_browser_learns_its_host_from_the_connector_token(unlinked: Machine) -> None:
    unlinked.environment.supervisor.use(lambda made: Connector(made, router=nobody))
    owner = await unlinked.bearer()
    runtime = {"providerKind": "cloudflare_tunnel", "connectorToken": tunnel_token(), "tunnelId": "tunnel-1"}
    body = configuration(unlinked, endpointRuntime=runtime)
    answer = await unlinked.local.post("/api/connect/relay-config", json=body, headers=owner)
    status = answer.json()["endpointRuntimeStatus"]
    assert (status["status"], status["tunnelId"]) == ("running", "tunnel-1")
    connector = unlinked.environment.supervisor.connector
    again = await unlinked.local.post("/api/connect/relay-config", json=body, headers=owner)
    assert again.json() == answer.json()
    assert unlinked.environment.supervisor.connector is connector
    link = unlinked.environment.link
    assert link.api_origin() == "https://box-0123456789abcdef.env.example.test:8445"
    assert link.is_api_host("BOX-0123456789abcdef.env.example.test:8445")
    for host in ("demo.env.example.test", "", "[", "box", "evil.example"):
        assert not link.is_api_host(host)

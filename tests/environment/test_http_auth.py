"""The auth endpoints as they are framed, refused and answered (checklist 37-56), and the two doors."""

from email.utils import parsedate_to_datetime

import pytest

from doorward.environment.access import MACHINE
from doorward.environment.keys import names
from doorward.t3_connect import parse_iso
from doorward.t3_connect.scopes import ADMINISTRATIVE_SCOPES, STANDARD_SCOPES
from tests.environment.conftest import LOCAL, RELAY, Machine, MakeMachine

pytestmark = pytest.mark.anyio

MANAGEMENT = [
    ("GET", "/api/auth/pairing-links", None),
    ("POST", "/api/auth/pairing-token", {}),
    ("POST", "/api/auth/pairing-links/revoke", {"id": "x"}),
    ("GET", "/api/auth/clients", None),
    ("POST", "/api/auth/clients/revoke", {"sessionId": "x"}),
    ("POST", "/api/auth/clients/revoke-others", None),
    ("POST", "/api/auth/connect-security-mode", {"mode": "account"}),
    ("GET", "/api/auth/connect-clients", None),
    ("POST", "/api/auth/connect-clients/approve", {"clientProofKeyThumbprint": "x"}),
    ("POST", "/api/auth/connect-clients/reject", {"clientProofKeyThumbprint": "x"}),
    ("POST", "/api/auth/connect-clients/revoke", {"clientProofKeyThumbprint": "x"}),
    ("POST", "/api/connect/unlink", None),
    ("POST", "/api/connect/preferences", {"publishAgentActivity": True}),
    ("GET", "/api/connect/link-state", None),
    ("POST", "/api/connect/link-proof", {}),
    ("POST", "/api/connect/relay-config", {}),
]
DEVICE_PATHS = {path for _, path, _ in MANAGEMENT if "connect-clients" in path}


@pytest.mark.conformance("connect-environment", 37)
async def test_anybody_may_read_the_descriptor(machine: Machine) -> None:
    for door in (machine.local, machine.public):
        answer = await door.get("/.well-known/t3/environment")
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        body = answer.json()
        assert (body["environmentId"], body["label"]) == (machine.id, "Box")
        assert set(body["platform"]) == {"os", "arch"}
        assert body["serverVersion"]
        assert body["capabilities"] == {"repositoryIdentity": False}


@pytest.mark.conformance("connect-environment", 38)
async def test_without_a_session_the_state_says_so_and_nothing_more(machine: Machine) -> None:
    for headers in ({}, {"authorization": "Bearer nonsense"}, {"cookie": "t3_session="}):
        answer = await machine.local.get("/api/auth/session", headers=headers)
        assert answer.status_code == 200
        assert set(answer.json()) == {"authenticated", "auth"}
        assert answer.json()["authenticated"] is False


@pytest.mark.conformance("connect-environment", 39)
async def test_a_good_credential_becomes_a_cookie_that_authenticates(machine: Machine) -> None:
    credential = (await machine.environment.pairing.one_time_link()).rpartition("=")[2]
    opened = await machine.local.post("/api/auth/browser-session", json={"credential": credential})
    assert opened.status_code == 200
    assert opened.json()["authenticated"] is True
    assert opened.json()["sessionMethod"] == "browser-session-cookie"
    token, *attributes = opened.headers["set-cookie"].split("; ")
    assert token.startswith("t3_session=")
    assert attributes[0] == "Path=/"
    assert attributes[1].endswith("GMT")
    expires = parsedate_to_datetime(attributes[1].removeprefix("Expires=")).timestamp()
    assert expires == parse_iso(opened.json()["expiresAt"]) // 1000
    assert parse_iso(opened.json()["expiresAt"]) == machine.clock() + 30 * 24 * 3_600_000
    assert attributes[2:] == ["HttpOnly", "SameSite=Lax"]
    state = await machine.local.get("/api/auth/session", headers={"cookie": token})
    assert state.json()["authenticated"] is True
    assert state.json()["scopes"] == list(ADMINISTRATIVE_SCOPES)
    assert state.json()["expiresAt"] == opened.json()["expiresAt"]


@pytest.mark.conformance("connect-environment", 40, 54, 55)
async def test_a_bad_credential_is_refused_and_a_blank_one_is_malformed(machine: Machine) -> None:
    bad = await machine.local.post(
        "/api/auth/browser-session", json={"credential": "NOTACREDENTI", "extra": 1}
    )
    assert bad.status_code == 401
    assert bad.json() == {
        "_tag": "EnvironmentAuthInvalidError",
        "code": "auth_invalid",
        "reason": "invalid_credential",
        "traceId": bad.json()["traceId"],
    }
    blank = await machine.local.post("/api/auth/browser-session", json={"credential": "  "})
    assert (blank.status_code, blank.content) == (400, b"")


@pytest.mark.conformance("connect-environment", 41)
async def test_a_store_that_fails_while_a_credential_is_consumed_is_our_failure(machine: Machine) -> None:
    await machine.environment.database.write(
        lambda tx: tx.execute("ALTER TABLE auth_pairing_links RENAME TO gone")
    )
    cookie = await machine.local.post("/api/auth/browser-session", json={"credential": "ABCDEFGHJKLM"})
    assert (cookie.status_code, cookie.json()["reason"]) == (500, "browser_session_issuance_failed")
    token = await machine.exchange("ABCDEFGHJKLM")
    assert (token.status_code, token.json()["reason"]) == (500, "access_token_issuance_failed")


@pytest.mark.conformance("connect-environment", 42)
@pytest.mark.parametrize(("method", "path", "body"), MANAGEMENT, ids=[path for _, path, _ in MANAGEMENT])
async def test_nothing_is_managed_without_a_session(
    machine: Machine, method: str, path: str, body: object
) -> None:
    answer = await machine.local.request(method, path, json=body)
    assert answer.status_code == 401
    assert answer.json()["reason"] == "missing_credential"
    malformed = await machine.local.request(method, path, content=b"{")
    assert malformed.status_code == 401


@pytest.mark.conformance("connect-environment", 43, 141)
async def test_a_missing_scope_is_named(machine: Machine) -> None:
    reader = await machine.bearer(*STANDARD_SCOPES, "access:read")
    listed = await machine.local.get("/api/auth/connect-clients", headers=reader)
    assert listed.status_code == 200
    for path, body in (
        ("/api/auth/connect-clients/approve", {"clientProofKeyThumbprint": "x"}),
        ("/api/auth/connect-security-mode", {"mode": "account"}),
        ("/api/auth/pairing-token", {}),
    ):
        answer = await machine.local.post(path, json=body, headers=reader)
        assert answer.status_code == 403
        assert answer.json()["_tag"] == "EnvironmentScopeRequiredError"
        assert answer.json()["requiredScope"] == "access:write"
        # What is malformed is told first: the scope is asked for what was understood.
        malformed = await machine.local.post(path, content=b"{", headers=reader)
        assert (malformed.status_code, malformed.content) == (400, b"")
    standard = await machine.bearer(*STANDARD_SCOPES)
    for method, path, scope in (
        ("GET", "/api/auth/connect-clients", "access:read"),
        ("GET", "/api/auth/pairing-links", "access:read"),
        ("GET", "/api/auth/clients", "access:read"),
        ("POST", "/api/auth/clients/revoke-others", "access:write"),
        ("POST", "/api/connect/unlink", "relay:write"),
    ):
        answer = await machine.local.request(method, path, headers=standard)
        assert (answer.status_code, answer.json()["requiredScope"]) == (403, scope)
    blind = await machine.bearer("access:read")
    answer = await machine.local.get("/api/connect/link-state", headers=blind)
    assert (answer.status_code, answer.json()["requiredScope"]) == (403, "relay:read")


@pytest.mark.conformance("connect-environment", 44, 45)
async def test_scopes_are_handed_on_only_by_whoever_holds_them(machine: Machine) -> None:
    owner = await machine.bearer()
    for scopes in ([], ["orchestration:read", "orchestration:read"]):
        answer = await machine.local.post("/api/auth/pairing-token", json={"scopes": scopes}, headers=owner)
        assert (answer.status_code, answer.json()["reason"]) == (400, "invalid_scope")
    limited = await machine.bearer("access:write", "orchestration:read")
    answer = await machine.local.post(
        "/api/auth/pairing-token", json={"scopes": ["orchestration:read", "relay:write"]}, headers=limited
    )
    assert (answer.status_code, answer.json()["requiredScope"]) == (403, "relay:write")
    unknown = await machine.local.post("/api/auth/pairing-token", json={"scopes": ["all"]}, headers=owner)
    assert (unknown.status_code, unknown.content) == (400, b"")


@pytest.mark.conformance("connect-environment", 46)
async def test_unless_others_are_asked_for_a_pairing_token_grants_the_standard_scopes(
    machine: Machine,
) -> None:
    owner = await machine.bearer()
    made = await machine.local.post("/api/auth/pairing-token", json={}, headers=owner)
    assert set(made.json()) == {"id", "credential", "expiresAt"}
    exchanged = await machine.exchange(made.json()["credential"])
    assert exchanged.json()["scope"] == (
        "orchestration:read orchestration:operate terminal:operate review:write relay:read"
    )


@pytest.mark.conformance("connect-environment", 50)
async def test_a_refusal_can_be_read_by_the_page_that_asked(machine: Machine) -> None:
    answer = await machine.public.post("/api/auth/websocket-ticket")
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.conformance("connect-environment", 51)
@pytest.mark.parametrize("path", ["/oauth/token", "/api/auth/session", "/anything"])
async def test_every_preflight_is_answered(machine: Machine, path: str) -> None:
    for door in (machine.local, machine.public):
        answer = await door.options(path)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
        assert (
            answer.headers["access-control-allow-headers"] == "authorization,b3,traceparent,content-type,dpop"
        )
        assert answer.headers["access-control-max-age"] == "600"
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.conformance("connect-environment", 52)
async def test_with_a_development_origin_only_that_one_is_echoed(make_machine: MakeMachine) -> None:
    machine = await make_machine(development_origins=("http://localhost:5173",))
    for origin in ("http://localhost:5173", "t3code://app", "t3code-dev://app"):
        good = await machine.local.get("/api/auth/session", headers={"origin": origin})
        assert good.headers["access-control-allow-origin"] == origin
        assert good.headers["access-control-allow-credentials"] == "true"
        assert "Origin" in good.headers["vary"]
    for origin in ("https://evil.example", "http://localhost:5174", "null"):
        bad = await machine.local.get("/api/auth/session", headers={"origin": origin})
        assert not {name for name in bad.headers if name.startswith("access-control-")}
        assert "Origin" in bad.headers["vary"]


@pytest.mark.conformance("connect-environment", 53)
async def test_malformed_requests_get_the_frameworks_empty_answers(machine: Machine) -> None:
    owner = await machine.bearer()
    path = "/api/auth/clients/revoke"
    for content in (b"{}", b"{", b"", b"null", b"[]", b"\xff", b"[" * 10_000):
        answer = await machine.local.post(path, content=content, headers=owner)
        assert (answer.status_code, answer.content) == (400, b"")
    wrong = await machine.local.post(path, content=b"<x/>", headers={**owner, "content-type": "text/xml"})
    assert (wrong.status_code, wrong.text) == (415, "Unsupported content-type: text/xml")
    charset = {"content-type": "application/json; charset=utf-8"}
    good = await machine.local.post(path, content=b'{"sessionId":"x","more":1}', headers={**owner, **charset})
    assert good.json() == {"revoked": False}
    assert (await machine.local.post(path, content=b'{"sessionId":"x"}', headers=owner)).status_code == 200
    large = await machine.local.post(path, content=b" " * 70_000, headers=owner)
    assert large.status_code == 413
    for method, unknown in (
        ("GET", path),
        ("POST", "/api/auth/nothing"),
        ("DELETE", path),
        ("POST", path + "/"),
    ):
        answer = await machine.local.request(method, unknown, headers=owner)
        assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.conformance("connect-environment", 56)
async def test_answers_that_carry_secrets_are_not_stored(machine: Machine) -> None:
    device, owner = machine.device(), await machine.bearer()
    pending = await machine.ask_mint(device)
    await machine.admit(device)
    minted = await machine.ask_mint(device)
    assert ("credential" in pending.json(), "credential" in minted.json()) == (False, True)
    link = await machine.environment.pairing.create(MACHINE, scopes=STANDARD_SCOPES, label=None)
    credential = (await machine.environment.pairing.one_time_link()).rpartition("=")[2]
    proof_request = {
        "challenge": "x",
        "relayIssuer": RELAY,
        "endpoint": {"httpBaseUrl": LOCAL, "wsBaseUrl": LOCAL, "providerKind": "cloudflare_tunnel"},
        "origin": {"localHttpHost": "127.0.0.1", "localHttpPort": 3773},
    }
    health = {"proof": machine.relay.health(machine.id)}
    for answer in (
        pending,
        minted,
        await machine.exchange(link.credential),
        await machine.as_device(device, "POST", "/api/auth/websocket-ticket"),
        await machine.local.post("/api/auth/pairing-token", json={}, headers=owner),
        await machine.local.post("/api/connect/link-proof", json=proof_request, headers=owner),
        await machine.public.post("/api/t3-connect/health", json=health),
        # Last, for its cookie stays with whoever asked.
        await machine.local.post("/api/auth/browser-session", json={"credential": credential}),
    ):
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"


async def test_the_trace_id_of_the_caller_comes_back(machine: Machine) -> None:
    trace = "39262d44d2b14a42f88bcc7d8c9ed208"
    headers = {"traceparent": f"00-{trace}-717f9eb4cdddef8b-01"}
    assert (await machine.local.get("/api/auth/clients", headers=headers)).json()["traceId"] == trace
    assert len((await machine.local.get("/api/auth/clients")).json()["traceId"]) == 32


# --- the two doors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "body"), MANAGEMENT, ids=[path for _, path, _ in MANAGEMENT])
async def test_an_owners_session_means_nothing_through_the_tunnel(
    make_machine: MakeMachine, method: str, path: str, body: object
) -> None:
    machine = await make_machine(remote_admin=True)
    owner = await machine.bearer()
    answer = await machine.public.request(method, path, json=body, headers=owner)
    assert answer.status_code == (401 if path in DEVICE_PATHS else 404)


async def test_an_unbound_credential_opens_nothing_through_the_tunnel(machine: Machine) -> None:
    opened = await machine.public.post("/api/auth/browser-session", json={"credential": "x"})
    assert opened.status_code == 404
    device = machine.device()
    for client in (None, device):
        link = await machine.environment.pairing.create(MACHINE, scopes=ADMINISTRATIVE_SCOPES, label=None)
        answer = await machine.exchange(link.credential, client, client=machine.public)
        assert answer.status_code == 401


async def test_a_cookie_means_nothing_through_the_tunnel(machine: Machine) -> None:
    credential = (await machine.environment.pairing.one_time_link()).rpartition("=")[2]
    opened = await machine.local.post("/api/auth/browser-session", json={"credential": credential})
    cookie = {"cookie": opened.headers["set-cookie"].partition(";")[0]}
    assert (await machine.public.get("/api/auth/session", headers=cookie)).json()["authenticated"] is False
    assert (await machine.public.get("/api/auth/connect-clients", headers=cookie)).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "box.env.example.test"},
        {"host": "attacker.example:3773"},
        {"host": "127.0.0.1:9999"},
        {"origin": "https://evil.example"},
        {"origin": "http://localhost:8888"},
        {"origin": "null"},
        {"origin": LOCAL, "sec-fetch-site": "cross-site"},
        {"x-forwarded-for": "203.0.113.7"},
        {"x-forwarded-host": "127.0.0.1:3773"},
        {"doorward-assertion": "x"},
    ],
    ids=str,
)
async def test_a_rebound_name_or_a_foreign_page_manages_nothing(
    machine: Machine, headers: dict[str, str]
) -> None:
    owner = await machine.bearer()
    answer = await machine.local.post(
        "/api/auth/connect-security-mode", json={"mode": "account"}, headers={**owner, **headers}
    )
    assert answer.status_code == 403
    assert machine.environment.modes.read() == "client-approval"


async def test_with_a_cookie_a_change_needs_the_pages_own_origin(machine: Machine) -> None:
    credential = (await machine.environment.pairing.one_time_link()).rpartition("=")[2]
    opened = await machine.local.post("/api/auth/browser-session", json={"credential": credential})
    cookie = {"cookie": opened.headers["set-cookie"].partition(";")[0]}
    change = {"url": "/api/auth/connect-security-mode", "json": {"mode": "account"}}
    assert (await machine.local.post(**change, headers=cookie)).status_code == 403
    for host in ("127.0.0.1:3773", "localhost:3773", "machine.localhost:3773", "[::1]:3773"):
        own = {**cookie, "host": host, "origin": f"http://{host}"}
        assert (await machine.local.post(**change, headers=own)).status_code == 200
    listed = await machine.local.get("/api/auth/connect-clients", headers=cookie)
    assert listed.status_code == 200


async def test_a_foreign_page_cannot_sign_its_visitor_in(machine: Machine) -> None:
    credential = (await machine.environment.pairing.one_time_link()).rpartition("=")[2]
    body = {"credential": credential}
    foreign = await machine.local.post(
        "/api/auth/browser-session", json=body, headers={"origin": "https://evil.example"}
    )
    assert foreign.status_code == 403
    assert (await machine.local.post("/api/auth/browser-session", json=body)).status_code == 200


# --- remote administration ---------------------------------------------------------------------------


@pytest.mark.conformance("connect-environment", 143)
async def test_a_device_and_an_account_alone_decide_nothing(make_machine: MakeMachine) -> None:
    machine = await make_machine(remote_admin=True)
    device, other = machine.device(), machine.device()
    await machine.admit(device)
    await machine.ask_mint(other)
    reference = {"clientProofKeyThumbprint": other.thumbprint}
    for verb in ("approve", "reject", "revoke"):
        answer = await machine.as_device(device, "POST", f"/api/auth/connect-clients/{verb}", json=reference)
        assert answer.status_code == 403
    assert (await machine.as_device(device, "GET", "/api/auth/connect-clients")).status_code == 403
    for path in ("/api/auth/connect-security-mode", "/api/connect/unlink", "/api/auth/pairing-token"):
        answer = await machine.as_device(device, "POST", path, json={"mode": "account"})
        assert answer.status_code == 404
    statuses = {
        client.thumbprint: client.status for client in await machine.environment.approvals.list(MACHINE)
    }
    assert statuses == {device.thumbprint: "approved", other.thumbprint: "pending"}


async def test_an_administrator_device_decides_about_devices_but_grants_no_administrator(
    make_machine: MakeMachine,
) -> None:
    machine = await make_machine(remote_admin=True)
    chief, other = machine.device(), machine.device()
    await machine.admit(chief, role="administrator")
    await machine.ask_mint(other)
    reference = {"clientProofKeyThumbprint": other.thumbprint}
    listed = await machine.as_device(chief, "GET", "/api/auth/connect-clients")
    assert {entry["role"] for entry in listed.json()} == {"standard", "administrator"}
    escalated = await machine.as_device(
        chief, "POST", "/api/auth/connect-clients/approve", json={**reference, "role": "administrator"}
    )
    assert escalated.status_code == 403
    for verb, status in (("approve", "approved"), ("reject", "rejected")):
        answer = await machine.as_device(chief, "POST", f"/api/auth/connect-clients/{verb}", json=reference)
        assert answer.json()["client"]["status"] == status
        assert answer.json()["client"]["role"] == "standard"
    gone = await machine.as_device(chief, "POST", "/api/auth/connect-clients/revoke", json=reference)
    assert gone.json() == {"revoked": True}
    entries = {entry.action: entry for entry in await machine.environment.audit.recent()}
    assert entries["client.revoke"].came_from == "tunnel 203.0.113.7"
    assert entries["client.revoke"].object == other.thumbprint


async def test_where_remote_administration_is_off_an_administrator_is_a_device_like_any_other(
    machine: Machine,
) -> None:
    chief = machine.device()
    await machine.admit(chief, role="administrator")
    state = await machine.as_device(chief, "GET", "/api/auth/session")
    assert state.json()["scopes"] == list(STANDARD_SCOPES)
    assert (await machine.as_device(chief, "GET", "/api/auth/connect-clients")).status_code == 403


async def test_a_device_that_is_no_administrator_any_more_loses_what_it_had(
    make_machine: MakeMachine,
) -> None:
    machine = await make_machine(remote_admin=True)
    chief = machine.device()
    await machine.admit(chief, role="administrator")
    await machine.environment.approvals.approve(MACHINE, chief.thumbprint, role="standard")
    assert (await machine.as_device(chief, "GET", "/api/auth/session")).json()["authenticated"] is False


async def test_the_mode_is_repaired_over_http_without_being_read(machine: Machine) -> None:
    machine.environment.secrets.set(names.SECURITY_MODE, b"broken")
    owner = await machine.bearer()
    path = "/api/auth/connect-security-mode"
    for wrong in ({"mode": "CLIENT-APPROVAL"}, {"mode": ""}, {"mode": None}):
        answer = await machine.local.post(path, json=wrong, headers=owner)
        assert (answer.status_code, answer.content) == (400, b"")
        assert machine.environment.secrets.get(names.SECURITY_MODE) == b"broken"
    answer = await machine.local.post(path, json={"mode": "client-approval"}, headers=owner)
    assert answer.json() == {"mode": "client-approval"}
    assert machine.environment.modes.read() == "client-approval"


async def test_an_administrator_device_is_a_visitor_also_where_it_reaches_the_machines_own_listener(
    make_machine: MakeMachine,
) -> None:
    """An exposed service may hand requests on to this very port; the key in the session says who really asks."""
    machine = await make_machine(remote_admin=True)
    chief, other = machine.device(), machine.device()
    await machine.admit(chief, role="administrator")
    await machine.ask_mint(other)
    for path, body, status in (
        ("/api/auth/connect-security-mode", {"mode": "account"}, 403),
        ("/api/connect/unlink", None, 403),
        ("/api/auth/pairing-token", {}, 403),
        (
            "/api/auth/connect-clients/approve",
            {"clientProofKeyThumbprint": other.thumbprint, "role": "administrator"},
            403,
        ),
        ("/api/auth/connect-clients/approve", {"clientProofKeyThumbprint": other.thumbprint}, 200),
    ):
        headers = chief.headers("POST", f"{LOCAL}{path}")
        assert (await machine.local.post(path, json=body, headers=headers)).status_code == status, path


@pytest.mark.parametrize(
    ("table", "method", "path", "body", "reason"),
    [
        ("auth_pairing_links", "GET", "/api/auth/pairing-links", None, "pairing_links_load_failed"),
        ("auth_pairing_links", "POST", "/api/auth/pairing-token", {}, "pairing_credential_issuance_failed"),
        (
            "auth_pairing_links",
            "POST",
            "/api/auth/pairing-links/revoke",
            {"id": "x"},
            "pairing_link_revoke_failed",
        ),
        ("auth_connect_clients", "GET", "/api/auth/connect-clients", None, "connect_clients_load_failed"),
        (
            "auth_connect_clients",
            "POST",
            "/api/auth/connect-clients/approve",
            {"clientProofKeyThumbprint": "x"},
            "connect_client_approval_failed",
        ),
        (
            "auth_connect_clients",
            "POST",
            "/api/auth/connect-clients/reject",
            {"clientProofKeyThumbprint": "x"},
            "connect_client_rejection_failed",
        ),
        (
            "auth_connect_clients",
            "POST",
            "/api/auth/connect-clients/revoke",
            {"clientProofKeyThumbprint": "x"},
            "connect_client_revoke_failed",
        ),
        (
            "environment_audit",
            "POST",
            "/api/auth/connect-security-mode",
            {"mode": "client-approval"},
            "connect_security_mode_update_failed",
        ),
        (
            "environment_service_sessions",
            "POST",
            "/api/auth/clients/revoke",
            None,
            "client_session_revoke_failed",
        ),
        (
            "environment_service_sessions",
            "POST",
            "/api/auth/clients/revoke-others",
            None,
            "client_session_revoke_failed",
        ),
    ],
)
async def test_a_store_that_fails_is_named_by_what_could_not_be_done_and_by_nothing_else(
    machine: Machine, table: str, method: str, path: str, body: object, reason: str
) -> None:
    owner = await machine.bearer()
    if reason == "client_session_revoke_failed":
        other = await machine.environment.sessions.issue(
            subject="other", scopes=STANDARD_SCOPES, label=None, lifetime_ms=60_000, actor=MACHINE
        )
        body = {"sessionId": other.session.id}
    await machine.environment.database.write(lambda tx: tx.execute(f"ALTER TABLE {table} RENAME TO gone"))
    answer = await machine.local.request(method, path, json=body, headers=owner)
    assert answer.status_code == 500
    said = answer.json()
    assert (said["_tag"], said["code"], said["reason"]) == (
        "EnvironmentInternalError",
        "internal_error",
        reason,
    )
    assert set(said) == {"_tag", "code", "reason", "traceId"}


async def test_an_empty_cookie_decides_too(machine: Machine) -> None:
    """A cookie that is there and holds nothing is a missing credential, whatever stands beside it."""
    owner = await machine.bearer()
    answer = await machine.local.get("/api/auth/clients", headers={**owner, "cookie": "t3_session="})
    assert (answer.status_code, answer.json()["reason"]) == (401, "missing_credential")

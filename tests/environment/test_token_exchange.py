"""Token exchange and proofs of possession (checklist 57-75)."""

import asyncio
from urllib.parse import urlencode

import pytest

from doorward.environment.access import MACHINE
from doorward.environment.sessions.authentication import AuthenticationFailed
from doorward.jose import generate_key, sign_jwt
from doorward.t3_connect.scopes import ADMINISTRATIVE_SCOPES, STANDARD_SCOPES
from tests.environment.conftest import LOCAL, PUBLIC, Device, Machine

pytestmark = pytest.mark.anyio

TOKEN_URL = f"{PUBLIC}/oauth/token"


async def credential(machine: Machine, scopes: tuple[str, ...] = STANDARD_SCOPES) -> str:
    return (await machine.environment.pairing.create(MACHINE, scopes=scopes, label=None)).credential


async def bound_credential(machine: Machine, device: Device) -> str:
    await machine.ask_mint(device)
    await machine.environment.approvals.approve(MACHINE, device.thumbprint)
    minted: str = (await machine.ask_mint(device)).json()["credential"]
    return minted


@pytest.mark.conformance("connect-environment", 57, 58, 59)
async def test_a_grant_is_given_whole_constrained_or_narrowed(machine: Machine) -> None:
    whole = await machine.exchange(await credential(machine, ADMINISTRATIVE_SCOPES))
    assert whole.json()["scope"] == " ".join(ADMINISTRATIVE_SCOPES)
    assert whole.json()["issued_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    constrained = await machine.exchange(await credential(machine, ("orchestration:read", "access:read")))
    assert constrained.json()["scope"] == "orchestration:read access:read"
    narrowed = await machine.exchange(
        await credential(machine), scope="relay:read orchestration:read relay:read"
    )
    assert narrowed.json()["scope"] == "relay:read orchestration:read"


@pytest.mark.conformance("connect-environment", 60)
async def test_asking_for_more_than_is_granted_burns_the_credential(machine: Machine) -> None:
    secret = await credential(machine)
    greedy = await machine.exchange(secret, scope="orchestration:read access:write")
    assert (greedy.status_code, greedy.json()["reason"]) == (400, "scope_not_granted")
    assert (await machine.exchange(secret)).status_code == 401


@pytest.mark.conformance("connect-environment", 61)
@pytest.mark.parametrize(
    ("scope", "is_empty"),
    [("orchestration:read  relay:read", False), ("", True), ("  ", True), ("all", False), ("a\tb", False)],
)
async def test_a_malformed_scope_is_refused_before_the_credential_is_used(
    machine: Machine, scope: str, is_empty: bool
) -> None:
    secret = await credential(machine)
    answer = await machine.exchange(secret, scope=scope)
    assert answer.status_code == 400
    assert answer.content == b"" if is_empty else answer.json()["reason"] == "invalid_scope"
    assert (await machine.exchange(secret)).status_code == 200


@pytest.mark.conformance("connect-environment", 62)
async def test_the_token_endpoint_takes_forms_only(machine: Machine) -> None:
    answer = await machine.local.post("/oauth/token", json={"grant_type": "x"})
    assert (answer.status_code, answer.text) == (415, "Unsupported content-type: application/json")


@pytest.mark.parametrize(
    "fields",
    [
        {"grant_type": "authorization_code"},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        {"subject_token": " "},
        {"client_device_type": "watch"},
    ],
    ids=str,
)
async def test_a_form_that_asks_for_anything_else_is_malformed_and_uses_nothing_up(
    machine: Machine, fields: dict[str, str]
) -> None:
    secret = await credential(machine)
    answer = await machine.exchange(secret, **fields)
    assert (answer.status_code, answer.content) == (400, b"")
    assert (await machine.exchange(secret)).status_code == 200


@pytest.mark.conformance("connect-environment", 63)
async def test_what_a_client_says_of_itself_shows_in_the_list(machine: Machine) -> None:
    device = machine.device()
    await machine.exchange(
        await bound_credential(machine, device),
        device,
        client_label="Phone",
        client_device_type="mobile",
        client_os="iOS",
    )
    owner = await machine.bearer()
    entries = (await machine.local.get("/api/auth/clients", headers=owner)).json()
    [entry] = [entry for entry in entries if entry["method"] == "dpop-access-token"]
    assert entry["client"]["label"] == "Phone"
    assert (entry["client"]["deviceType"], entry["client"]["os"]) == ("mobile", "iOS")
    assert entry["client"]["ipAddress"] == "203.0.113.7"
    assert [item["current"] for item in entries if "access:write" in item["scopes"]] == [True]


@pytest.mark.conformance("connect-environment", 65)
async def test_a_proof_counts_once_even_when_presented_many_times_at_once(machine: Machine) -> None:
    device = machine.device()
    await machine.admit(device)
    headers = device.headers("POST", f"{PUBLIC}/api/auth/websocket-ticket")
    answers = await asyncio.gather(
        *(machine.public.post("/api/auth/websocket-ticket", headers=headers) for _ in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    secret = await bound_credential(machine, device)
    proof = device.proof("POST", TOKEN_URL)
    first = await machine.exchange("WRONGSECRET2", device, proof=proof)
    second = await machine.exchange(secret, device, proof=proof)
    assert (first.status_code, second.status_code) == (401, 401)
    assert "www-authenticate" not in first.headers
    assert second.headers["www-authenticate"] == "DPoP"


@pytest.mark.conformance("connect-environment", 66, 67)
async def test_the_host_header_and_the_forwarded_scheme_make_the_url_of_a_proof(machine: Machine) -> None:
    device = machine.device()
    secret = await bound_credential(machine, device)
    machine.public.headers["x-forwarded-host"] = "forwarded.example"
    over_http = TOKEN_URL.replace("https:", "http:")
    for scheme, url in (
        ("https", "https://forwarded.example/oauth/token"),
        ("https", over_http),
        ("https", f"{LOCAL}/oauth/token"),
        ("http", TOKEN_URL),
        ("HTTPS", TOKEN_URL),
        ("https, http", TOKEN_URL),
    ):
        machine.public.headers["x-forwarded-proto"] = scheme
        answer = await machine.exchange(secret, device, proof=device.proof("POST", url))
        assert answer.status_code == 401, (scheme, url)
    for scheme, url in (("https", TOKEN_URL), ("http", over_http)):
        machine.public.headers["x-forwarded-proto"] = scheme
        answer = await machine.exchange(secret, device, proof=device.proof("POST", url))
        assert answer.status_code == 200, (scheme, url)
        secret = await bound_credential(machine, device)


@pytest.mark.conformance("connect-environment", 68, 69)
async def test_a_bound_token_needs_its_scheme_its_key_and_its_hash(machine: Machine) -> None:
    device, thief = machine.device(), machine.device()
    await machine.admit(device)
    url = f"{PUBLIC}/api/auth/websocket-ticket"
    token = device.token
    dpop = {"authorization": f"DPoP {token}"}
    refused = [
        {"authorization": f"Bearer {token}"},
        {"authorization": f"Bearer {token}", "dpop": device.proof("POST", url, access_token=token)},
        {"authorization": f"dpop {token}", "dpop": device.proof("POST", url, access_token=token)},
        dpop,
        {**dpop, "dpop": thief.proof("POST", url, access_token=token)},
        {**dpop, "dpop": device.proof("POST", url)},
        {**dpop, "dpop": device.proof("POST", url, access_token="another")},
        {**dpop, "dpop": device.proof("GET", url, access_token=token)},
    ]
    for headers in refused:
        answer = await machine.public.post("/api/auth/websocket-ticket", headers=headers)
        assert answer.status_code == 401, headers
        assert ("www-authenticate" in answer.headers) == headers["authorization"].startswith("DPoP ")
    assert (await machine.as_device(device, "POST", "/api/auth/websocket-ticket")).status_code == 200


async def test_two_proofs_in_one_request_are_none(machine: Machine) -> None:
    device = machine.device()
    await machine.admit(device)
    url = f"{PUBLIC}/api/auth/websocket-ticket"
    headers = [
        ("authorization", f"DPoP {device.token}"),
        ("dpop", device.proof("POST", url, access_token=device.token)),
        ("dpop", device.proof("POST", url, access_token=device.token)),
    ]
    assert (await machine.public.post("/api/auth/websocket-ticket", headers=headers)).status_code == 401


@pytest.mark.conformance("connect-environment", 70)
@pytest.mark.parametrize(("age", "status"), [(301, 401), (300, 200), (-5, 200), (-6, 401)])
async def test_a_proof_is_five_minutes_old_at_most_and_five_seconds_early(
    machine: Machine, age: int, status: int
) -> None:
    device = machine.device()
    secret = await bound_credential(machine, device)
    proof = device.proof("POST", TOKEN_URL, now=machine.clock() // 1000 - age)
    assert (await machine.exchange(secret, device, proof=proof)).status_code == status


@pytest.mark.conformance("connect-environment", 71, 72)
@pytest.mark.parametrize(
    ("claims", "header", "status"),
    [
        ({}, {}, 200),
        ({"htm": "post"}, {}, 200),
        ({"more": "claims"}, {}, 200),
        ({"htu": f"{TOKEN_URL}?q=1"}, {}, 401),
        ({"htu": TOKEN_URL.upper()}, {}, 401),
        ({"jti": ""}, {}, 401),
        ({"iat": 1.5}, {}, 401),
        ({}, {"d": "AAAA"}, 401),
        ({}, {"typ": "JWT"}, 401),
    ],
    ids=str,
)
async def test_the_shape_of_a_proof(
    machine: Machine, claims: dict[str, object], header: dict[str, str], status: int
) -> None:
    device = machine.device()
    secret = await bound_credential(machine, device)
    public = device.key.public.to_jwk()
    jwk = {name: public[name] for name in ("kty", "crv", "x", "y")}
    typ = header.pop("typ", "dpop+jwt") if (header := dict(header)) else "dpop+jwt"
    proof = sign_jwt(
        {"htm": "POST", "htu": TOKEN_URL, "jti": "jti-1", "iat": machine.clock() // 1000, **claims},
        device.key,
        typ=typ,
        header={"jwk": {**jwk, **header}},
        include_kid=False,
    )
    assert (await machine.exchange(secret, device, proof=proof)).status_code == status


@pytest.mark.conformance("connect-environment", 71)
async def test_a_proof_by_another_algorithm_is_refused_although_its_signature_holds(machine: Machine) -> None:
    device = machine.device()
    secret = await bound_credential(machine, device)
    claims = {"htm": "POST", "htu": TOKEN_URL, "jti": "jti-1", "iat": machine.clock() // 1000}
    for alg in ("EdDSA", "RS256"):
        key = generate_key(alg)
        header = {"jwk": key.public.to_jwk()}
        proof = sign_jwt(claims, key, typ="dpop+jwt", header=header, include_kid=False)
        assert (await machine.exchange(secret, device, proof=proof)).status_code == 401
    assert (await machine.exchange(secret, device)).status_code == 200


@pytest.mark.conformance("connect-environment", 72)
async def test_a_query_in_the_request_is_no_part_of_its_proof(machine: Machine) -> None:
    device = machine.device()
    await machine.admit(device)
    path = "/api/auth/session"
    answer = await machine.public.get(f"{path}?a=b", headers=device.headers("GET", f"{PUBLIC}{path}"))
    assert answer.json()["authenticated"] is True


@pytest.mark.conformance("connect-environment", 73)
async def test_when_used_proofs_cannot_be_recorded_no_token_is_made(machine: Machine) -> None:
    device = machine.device()
    await machine.admit(device)
    secret = await bound_credential(machine, device)
    await machine.environment.database.write(lambda tx: tx.execute("DROP TABLE environment_replay_guards"))
    answer = await machine.exchange(secret, device)
    assert (answer.status_code, answer.json()["reason"]) == (500, "access_token_issuance_failed")
    ticket = await machine.as_device(device, "POST", "/api/auth/websocket-ticket")
    assert (ticket.status_code, ticket.json()["reason"]) == (500, "internal_error")


@pytest.mark.conformance("connect-environment", 74, 75)
async def test_an_unbound_session_never_comes_with_the_dpop_scheme(machine: Machine) -> None:
    token = (await machine.exchange(await credential(machine))).json()["access_token"]
    device = machine.device()
    url = f"{LOCAL}/api/auth/websocket-ticket"
    dpop = {"authorization": f"DPoP {token}", "dpop": device.proof("POST", url, access_token=token)}
    assert (await machine.local.post("/api/auth/websocket-ticket", headers=dpop)).status_code == 401
    secret = await credential(machine)
    opened = await machine.local.post("/api/auth/browser-session", json={"credential": secret})
    cookie = {"cookie": opened.headers["set-cookie"].partition(";")[0], "origin": LOCAL}
    both = {**cookie, "authorization": "Bearer nonsense"}
    assert (await machine.local.post("/api/auth/websocket-ticket", headers=both)).status_code == 200
    mixed = {**cookie, **dpop, "dpop": device.proof("POST", url, access_token=token)}
    assert (await machine.local.post("/api/auth/websocket-ticket", headers=mixed)).status_code == 401
    empty = {"cookie": "t3_session=", "authorization": f"Bearer {token}"}
    answer = await machine.local.post("/api/auth/websocket-ticket", headers=empty)
    assert answer.json()["reason"] == "missing_credential"


async def test_a_session_made_on_the_machine_does_not_count_from_outside(machine: Machine) -> None:
    """Bound to a key or not: no account signed in for it, and no owner approved the key."""
    device = machine.device()
    answer = await machine.exchange(await credential(machine), device, client=machine.local)
    assert answer.json()["token_type"] == "DPoP"
    device.token = answer.json()["access_token"]
    here = await machine.local.get(
        "/api/auth/session", headers=device.headers("GET", f"{LOCAL}/api/auth/session")
    )
    assert here.json()["authenticated"] is True
    assert (await machine.as_device(device, "GET", "/api/auth/session")).json()["authenticated"] is False
    ticket = await machine.as_device(device, "POST", "/api/auth/websocket-ticket")
    assert ticket.status_code == 401
    at_a_service = "https://notes.env.example/"
    with pytest.raises(AuthenticationFailed, match="no mint"):
        await machine.environment.authentication.verify_dpop(
            device.token, device.headers("GET", at_a_service)["dpop"], method="GET", url=at_a_service
        )


async def test_a_stranger_with_keys_of_its_own_is_slowed_down_before_it_costs_a_row(machine: Machine) -> None:
    async def guess(address: str) -> int:
        device = machine.device()
        answer = await machine.public.post(
            "/oauth/token",
            content=urlencode(
                {
                    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                    "subject_token": "ABCDEFGHJKLM",
                    "subject_token_type": "urn:t3:params:oauth:token-type:environment-bootstrap",
                    "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
                }
            ),
            headers={
                "content-type": "application/x-www-form-urlencoded",
                "dpop": device.proof("POST", TOKEN_URL),
                "x-forwarded-for": address,
            },
        )
        if answer.status_code == 429:
            assert answer.headers["retry-after"] == "1"
        return answer.status_code

    answers = [await guess(f"2001:db8::{number:x}") for number in range(32)]
    assert answers == [401] * 30 + [429] * 2
    assert await guess("203.0.113.9") == 401
    machine.clock.advance(1000)
    assert await guess("2001:db8::1") == 401

"""Proofs of possession at the relay: checked, used up, and refused with the right word."""

import asyncio
import json
from typing import Any

import pytest

from doorward.jose import b64url_decode, b64url_encode, generate_key, sign_jwt, verify_dpop_proof
from doorward.relay import RateLimits
from doorward.relay.limits.service import Count, Limits
from doorward.relay.replay.service import DpopProofs, ProofRefused
from doorward.relay.replay.store import consume
from tests.relay.conftest import OpenWorld
from tests.relay.world import World

pytestmark = pytest.mark.anyio

PATH = "/v1/environments/env-1/status"


def counted(world: World) -> Count:
    return Limits(RateLimits(), world.database, world.clock).counting("user", "connects")


async def refusal(world: World, **proof: Any) -> tuple[int, str, str]:
    """(status, reason, dpopFailureReason) of a status request whose proof was made wrongly."""
    token = await world.token()
    method = proof.pop("method", "POST")
    named_token = proof.pop("token", token)
    headers = {
        "authorization": f"DPoP {token}",
        "dpop": world.proof(method, PATH, token=named_token, **proof),
    }
    answer = await world.http.post(PATH, headers=headers)
    body = answer.json()
    assert (answer.headers.get("www-authenticate") == "DPoP") == (answer.status_code == 401)
    return answer.status_code, body.get("reason", ""), body.get("dpopFailureReason", "")


@pytest.mark.conformance("connect-relay", 31, 32, 37, 51, 52)
@pytest.mark.parametrize(
    ("proof", "failure"),
    [
        ({"method": "GET"}, "request_mismatch"),
        ({"url": "https://elsewhere.example" + PATH}, "request_mismatch"),
        ({"key": generate_key("ES256")}, "key_mismatch"),
        ({"now": 1_800_000_000 - 301}, "time_window"),
        ({"now": 1_800_000_000 + 6}, "time_window"),
        ({"token": "another-token"}, "token_mismatch"),
        ({"token": None}, "token_mismatch"),
    ],
)
async def test_a_proof_of_something_else_is_refused_and_not_remembered(
    wire: World, proof: dict[str, Any], failure: str
) -> None:
    assert await refusal(wire, **proof) == (401, "invalid_dpop", failure)
    remembered = await wire.rows("SELECT COUNT(*) FROM relay_dpop_proofs")
    assert remembered == [(1,)]  # the token exchange's own


@pytest.mark.conformance("connect-relay", 37)
@pytest.mark.parametrize("seconds", [5, -300])
async def test_the_time_window_includes_its_edges(wire: World, seconds: int) -> None:
    assert await refusal(wire, now=wire.clock() // 1000 + seconds) == (403, "environment_link_not_found", "")


@pytest.mark.conformance("connect-relay", 29)
def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    key = generate_key("ES256")
    claims = {"htm": "POST", "htu": "https://r/x", "jti": "1", "iat": 1000}
    jwk = key.public.to_jwk()
    more = {"use": "sig", "alg": "ES256", "kid": "x"}
    proof = sign_jwt(claims, key, typ="dpop+jwt", header={"jwk": {**more, **jwk}}, include_kid=False)
    shown = verify_dpop_proof(proof, method="POST", url="https://r/x", now=1000)
    assert shown.thumbprint == key.public.thumbprint


SPOILT = (
    "header",
    "header_list",
    "payload",
    "payload_list",
    "private",
    "parts",
    "empty",
    "blank",
    "signature",
    "long",
)


@pytest.mark.conformance("connect-relay", 30, 34, 52)
@pytest.mark.parametrize("spoil", SPOILT)
async def test_a_malformed_proof_is_refused(wire: World, spoil: str) -> None:
    """Each is well signed, where there is something to sign: nothing but its own fault speaks against it."""
    token = await wire.token()
    proof = wire.proof("POST", PATH, token=token)
    header, payload, signature = proof.split(".")
    whole = {"typ": "dpop+jwt", "alg": "ES256", "jwk": wire.device.public.to_jwk()}

    def signed(header: bytes, payload: bytes = b64url_decode(payload)) -> str:
        text = f"{b64url_encode(header)}.{b64url_encode(payload)}"
        return f"{text}.{b64url_encode(wire.device.sign(text.encode()))}"

    def with_header(**jwk: str) -> str:
        return signed(json.dumps({**whole, "jwk": {**wire.device.public.to_jwk(), **jwk}}).encode())

    flipped = bytes([b64url_decode(signature)[0] ^ 1]) + b64url_decode(signature)[1:]
    spoilt = {
        "header": signed(b"{"),
        "header_list": signed(b"[]"),
        "payload": signed(json.dumps(whole).encode(), b"{"),
        "payload_list": signed(json.dumps(whole).encode(), b"[]"),
        "private": with_header(d="AA"),
        "parts": f"{header}.{payload}",
        "empty": "..",
        "blank": "",
        "signature": f"{header}.{payload}.{b64url_encode(flipped)}",
        "long": with_header(use="x" * 8192),
    }[spoil]
    answer = await wire.http.post(PATH, headers={"authorization": f"DPoP {token}", "dpop": spoilt})
    assert answer.status_code == 401
    assert (answer.json()["reason"], answer.json()["dpopFailureReason"]) == ("invalid_dpop", "invalid_proof")
    assert len(await wire.rows("SELECT jti FROM relay_dpop_proofs")) == 1  # the token exchange's own
    # A member that says nothing is none of these faults: the proof is made as those above are.
    honest = {"authorization": f"DPoP {token}", "dpop": with_header(use="sig")}
    assert (await wire.http.post(PATH, headers=honest)).status_code == 403


async def test_two_proofs_in_one_request_are_none(wire: World) -> None:
    token = await wire.token()
    headers = [
        ("authorization", f"DPoP {token}"),
        ("dpop", wire.proof("POST", PATH, token=token)),
        ("dpop", wire.proof("POST", PATH, token=token)),
    ]
    answer = await wire.http.post(PATH, headers=headers)
    assert answer.json()["dpopFailureReason"] == "invalid_proof"


@pytest.mark.conformance("connect-relay", 33)
async def test_the_request_url_is_compared_without_its_query(wire: World) -> None:
    token = await wire.token()
    headers = wire.dpop_headers(token, PATH)
    answer = await wire.http.post(PATH + "?a=1&b=2", headers=headers)
    assert answer.json()["reason"] == "environment_link_not_found"


async def test_the_request_url_does_not_come_from_what_the_caller_says(wire: World) -> None:
    token = await wire.token()
    forged = {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https"}
    honest = await wire.http.post(PATH, headers={**wire.dpop_headers(token, PATH), **forged})
    assert honest.json()["reason"] == "environment_link_not_found"
    for_evil = wire.dpop_headers(token, PATH, url="https://evil.example" + PATH)
    assert (await wire.http.post(PATH, headers={**for_evil, **forged})).status_code == 401


@pytest.mark.conformance("connect-relay", 35, 52)
async def test_of_many_uses_of_one_proof_at_once_exactly_one_is_accepted(world: World) -> None:
    token = await world.token()
    headers = world.dpop_headers(token, PATH)
    answers = await asyncio.gather(*(world.http.post(PATH, headers=headers) for _ in range(12)))
    outcomes = sorted(answer.status_code for answer in answers)
    assert outcomes == [401] * 11 + [403]
    replays = [answer.json() for answer in answers if answer.status_code == 401]
    assert {replay["dpopFailureReason"] for replay in replays} == {"replay"}
    written = await world.rows("SELECT thumbprint, jti FROM relay_dpop_proofs")
    assert len(written) == 2  # this proof, once, and the token exchange's own


@pytest.mark.conformance("connect-relay", 35)
async def test_the_same_id_by_another_key_is_another_proof(world: World) -> None:
    token_path = "/v1/client/dpop-token"
    for key in (world.device, generate_key("ES256")):
        proof = world.proof("POST", token_path, key=key, jti="the-same")
        assert [(await world.exchange(proof)).status_code for _ in range(2)] == [200, 401]


async def test_a_proof_used_at_the_token_endpoint_cannot_be_used_again(world: World) -> None:
    proof = world.proof("POST", "/v1/client/dpop-token")
    assert [(await world.exchange(proof)).status_code for _ in range(2)] == [200, 401]


@pytest.mark.conformance("connect-relay", 36)
async def test_a_failing_replay_table_is_a_persistence_failure_without_the_proof(
    wire: World, caplog: pytest.LogCaptureFixture
) -> None:
    await wire.execute("ALTER TABLE relay_dpop_proofs RENAME TO gone")
    proof = wire.proof("POST", "/v1/client/dpop-token")
    answer = await wire.exchange(proof)
    assert (answer.status_code, answer.json()["reason"]) == (500, "persistence_failed")
    assert proof.split(".")[1] not in caplog.text
    assert "persistence" in answer.text
    assert "relay_dpop_proofs" not in answer.text


@pytest.mark.conformance("connect-relay", 38)
async def test_consuming_never_prunes_and_pruning_deletes_only_what_expired(world: World) -> None:
    now = world.clock()

    for jti, expires_at in (("past", now - 1), ("now", now), ("future", now + 1)):
        await world.database.write(
            lambda tx, jti=jti, expires_at=expires_at: consume(
                tx, owner="key", jti=jti, iat=0, expires_at=expires_at, now=now
            )
        )
    await world.token()
    assert len(await world.rows("SELECT jti FROM relay_dpop_proofs")) == 4
    await world.relay.prune()
    kept = {jti for (jti,) in await world.rows("SELECT jti FROM relay_dpop_proofs WHERE thumbprint = 'key'")}
    assert kept == {"now", "future"}


async def test_a_proof_from_the_future_is_remembered_as_long_as_it_could_be_used(world: World) -> None:
    proofs = DpopProofs(world.database, world.clock)
    now = world.clock() // 1000
    proof = world.proof("POST", "/x", now=now + 5)
    await proofs.consume(proof, counting=counted(world), method="POST", url=world.origin + "/x")
    world.clock.advance(305_000)
    await world.relay.prune()
    with pytest.raises(ProofRefused, match="replayed"):
        await proofs.consume(proof, counting=counted(world), method="POST", url=world.origin + "/x")
    world.clock.advance(1_000)
    with pytest.raises(ProofRefused, match="time_window"):
        await proofs.consume(proof, counting=counted(world), method="POST", url=world.origin + "/x")


async def test_a_proof_id_that_could_not_be_remembered_is_refused(world: World) -> None:
    proof = world.proof("POST", "/v1/client/dpop-token", jti="a\0b")
    answer = await world.exchange(proof)
    assert (answer.status_code, answer.json()["dpopFailureReason"]) == (401, "invalid_proof")


@pytest.mark.conformance("connect-relay", 49)
@pytest.mark.parametrize("scheme", ["Bearer ", "DPoP", "", "DPoPx "])
async def test_a_dpop_route_takes_no_other_scheme(wire: World, scheme: str) -> None:
    token = await wire.token()
    headers = {**wire.dpop_headers(token, PATH), "authorization": scheme + token}
    answer = await wire.http.post(PATH, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_bearer")
    assert answer.headers["www-authenticate"] == "DPoP"
    assert "dpopFailureReason" not in answer.json()


async def test_the_dpop_scheme_is_read_in_any_case(wire: World) -> None:
    token = await wire.token()
    headers = {**wire.dpop_headers(token, PATH), "authorization": f"dPoP   {token}"}
    assert (await wire.http.post(PATH, headers=headers)).status_code == 403


async def test_a_missing_proof_is_an_empty_400_once_the_token_holds(wire: World) -> None:
    token = await wire.token()
    answer = await wire.http.post(PATH, headers={"authorization": f"DPoP {token}"})
    assert (answer.status_code, answer.content) == (400, b"")
    assert (await wire.http.post(PATH, headers={"authorization": "DPoP x"})).status_code == 401


@pytest.mark.conformance("connect-relay", 50)
async def test_a_token_without_the_scope_is_an_invalid_dpop_request(wire: World) -> None:
    token = await wire.token(scope="environment:status")
    answer = await wire.connect(token)
    assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_dpop")
    assert answer.json()["dpopFailureReason"] == "invalid_proof"
    assert answer.headers["www-authenticate"] == "DPoP"


@pytest.mark.conformance("connect-relay", 52)
@pytest.mark.parametrize(("strict_base", "failure"), [(False, "invalid_proof"), (True, "time_window")])
async def test_only_an_authentic_proof_is_told_about_the_clock(
    open_wire: OpenWorld, strict_base: bool, failure: str
) -> None:
    world = await open_wire(strict_base=strict_base)
    token = await world.token()
    proof = world.proof("POST", PATH, token=token, now=world.clock() // 1000 - 4000)
    forged = proof[:-6] + ("AAAAAA" if not proof.endswith("AAAAAA") else "BBBBBA")
    answer = await world.http.post(PATH, headers={"authorization": f"DPoP {token}", "dpop": forged})
    assert answer.json()["dpopFailureReason"] == failure

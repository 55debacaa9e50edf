"""Who gets to the local service and who does not, over real sockets."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from doorward.environment.access import MACHINE
from doorward.environment.gate.rules import nonce_hash
from doorward.jose import generate_key
from tests.conftest import ClockForTests
from tests.environment_gate.machine import NONCE, Machine, received
from tests.ports import free_ports

pytestmark = pytest.mark.anyio

PERSON = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}


def is_refused(response: httpx.Response, error: str = "sign_in_required") -> bool:
    return (
        response.headers["content-type"] == "application/json"
        and json.loads(response.content)["error"] == error
    )


async def test_a_person_without_a_session_is_sent_to_the_api_host_with_a_nonce(machine: Machine) -> None:
    response = await machine.ask("/deep/page?q=1", headers=PERSON)
    assert response.status_code == 303
    location = urlsplit(response.headers["location"])
    query = parse_qs(location.query)
    assert f"{location.scheme}://{location.netloc}{location.path}" == f"{machine.api_origin}/gate"
    assert query["service"] == [machine.host]
    assert query["return"] == ["/deep/page?q=1"]
    cookie = response.headers["set-cookie"]
    nonce = cookie.partition("=")[2].partition(";")[0]
    assert query["nonce"] == [nonce_hash(nonce)]
    assert cookie.startswith("__Host-doorward-nonce=")
    assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert response.headers["cache-control"] == "no-store"


async def test_a_second_tab_keeps_the_browsers_nonce(machine: Machine) -> None:
    headers = {**PERSON, "cookie": f"__Host-doorward-nonce={NONCE}"}
    response = await machine.ask("/", headers=headers)
    assert nonce_hash(NONCE) in response.headers["location"]


@pytest.mark.parametrize("planted", ["short", "x" * 44, "x" * 43 + "; __Host-doorward-nonce=" + "y" * 43])
async def test_a_planted_nonce_is_replaced(machine: Machine, planted: str) -> None:
    response = await machine.ask("/", headers={**PERSON, "cookie": f"__Host-doorward-nonce={planted}"})
    assert nonce_hash("x" * 43) not in response.headers["location"]
    assert "__Host-doorward-nonce=" in response.headers["set-cookie"]


async def test_everything_that_is_not_a_person_opening_a_page_gets_401_and_never_a_redirect(
    machine: Machine,
) -> None:
    for method, headers in (
        ("GET", {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}),
        ("GET", {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}),
        ("GET", {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}),
        ("POST", PERSON),
        ("GET", {"accept": "application/json"}),
        ("OPTIONS", {"origin": machine.origin, "access-control-request-method": "POST"}),
    ):
        response = await machine.ask("/", method=method, headers=headers)
        assert response.status_code == 401
        assert response.headers["doorward-gate"] == f"{machine.api_origin}/gate"
        assert is_refused(response)


async def test_a_cookie_opens_the_service_and_stays_out_of_it(machine: Machine) -> None:
    headers = await machine.cookie()
    headers["cookie"] += f"; theme=dark; __session=x; __Host-doorward-nonce={NONCE}"
    response = await machine.ask("/page", headers=headers)
    assert response.status_code == 200
    sent = received(response)
    assert dict(sent)["cookie"] == "theme=dark"
    assert dict(sent)["host"] == machine.host
    assert "__Host" not in response.text


async def test_a_program_proves_its_key_and_keeps_its_own_authorization(machine: Machine) -> None:
    key, issued = await machine.session()
    headers = machine.program(key, issued.token, "/page") | {"authorization": "Bearer the-apps-own"}
    response = await machine.ask("/page?with=query", headers=headers)
    assert response.status_code == 200
    sent = dict(received(response))
    assert sent["authorization"] == "Bearer the-apps-own"
    assert "doorward-authorization" not in sent
    assert "doorward-dpop" not in sent


@pytest.mark.parametrize(
    "forged",
    [
        {"doorward_assertion": "forged", "X_Forwarded_For": "forged", "X-Forwarded_Proto": "forged"},
        {"Doorward-Assertion": "forged", "X-Forwarded-Host": "forged.test", "Forwarded": "for=forged"},
        {"DOORWARD-ASSERTION": "forged", "x-forwarded-prefix": "/forged", "x-real-ip": "forged"},
    ],
)
async def test_forged_identity_headers_do_not_reach_the_service_in_any_spelling(
    machine: Machine, forged: dict[str, str]
) -> None:
    sent = received(await machine.ask("/", headers=await machine.cookie() | forged))
    assert "forged" not in json.dumps(sent)
    assert [value for name, value in sent if name == "x-forwarded-host"] == [machine.host]
    assert [value for name, value in sent if name == "x-forwarded-for"] == ["127.0.0.1"]
    assert len([name for name, _ in sent if name == "doorward-assertion"]) == 1


async def test_two_spellings_of_one_header_are_refused_before_anybody_reads_them(machine: Machine) -> None:
    headers = await machine.cookie() | {"doorward-assertion": "forged", "doorward_assertion": "forged"}
    assert (await machine.ask("/", headers=headers)).status_code == 400


async def test_the_edges_word_on_the_visitors_address_reaches_the_service(machine: Machine) -> None:
    sent = received(
        await machine.ask("/", headers=await machine.cookie() | {"x-forwarded-for": "203.0.113.9"})
    )
    assert [value for name, value in sent if name == "x-forwarded-for"] == ["203.0.113.9"]


async def test_the_service_cannot_set_cookies_beyond_itself_nor_speak_for_the_gate(machine: Machine) -> None:
    response = await machine.ask("/cookies", headers=await machine.cookie())
    assert response.headers.get_list("set-cookie") == ["plain=1; Path=/; HttpOnly", "wide=1; Path=/"]
    assert "doorward-gate" not in response.headers


async def test_a_cookie_of_one_service_is_worth_nothing_at_another(machine: Machine) -> None:
    headers = await machine.cookie()
    response = await machine.ask("/", host=f"photos.env.localhost:{machine.port}", headers=headers)
    assert response.status_code == 401


async def test_a_cookie_sent_twice_is_refused(machine: Machine) -> None:
    mine, other = await machine.cookie(), await machine.cookie()
    both = {"cookie": f"{mine['cookie']}; {other['cookie']}"}
    assert (await machine.ask("/", headers=both)).status_code == 401


@pytest.mark.parametrize(
    "host",
    [
        "nothing.env.localhost:{port}",
        "notes.env.localhost:1",
        "notes.env.localhost",
        "notes.env.localhost.:{port}",
        "127.0.0.1:{port}",
        "evil.test@notes.env.localhost:{port}",
    ],
)
async def test_another_host_name_leads_nowhere(machine: Machine, host: str) -> None:
    response = await machine.ask("/", host=host.format(port=machine.port), headers=await machine.cookie())
    assert response.status_code in (400, 421)


async def test_the_api_host_goes_to_the_environments_own_application(machine: Machine) -> None:
    response = await machine.ask("/", host=f"box-1.env.localhost:{machine.port}")
    assert response.status_code == 404
    described = await machine.ask("/.well-known/t3/environment", host=f"box-1.env.localhost:{machine.port}")
    assert described.json()["label"] == "Study desk"


async def test_an_expired_cookie_is_renewed_by_signing_in_again(
    machine: Machine, clock: ClockForTests
) -> None:
    headers = await machine.cookie()
    clock.advance(15 * 60_000 - 1)
    assert (await machine.ask("/", headers=headers)).status_code == 200
    clock.advance(1)
    assert (await machine.ask("/", headers=headers)).status_code == 401
    assert (await machine.ask("/", headers=headers | PERSON)).status_code == 303


async def test_a_cookie_dies_with_its_parent_that_expired(machine: Machine, clock: ClockForTests) -> None:
    _, issued = await machine.session()
    clock.advance(3_600_000 - 60_000)
    headers = {"cookie": f"__Host-doorward={(await machine.child(issued.session.id)).cookie}"}
    assert (await machine.ask("/", headers=headers)).status_code == 200
    clock.advance(60_000)
    assert (await machine.ask("/", headers=headers)).status_code == 401


async def test_a_cookie_and_a_token_die_with_their_device(machine: Machine) -> None:
    key, issued = await machine.session()
    cookie = {"cookie": f"__Host-doorward={(await machine.child(issued.session.id)).cookie}"}
    assert (await machine.ask("/", headers=cookie)).status_code == 200
    await machine.environment.approvals.revoke(MACHINE, key.public.thumbprint)
    assert (await machine.ask("/", headers=cookie)).status_code == 401
    refused = await machine.ask("/", headers=machine.program(key, issued.token))
    assert refused.status_code == 401
    assert is_refused(refused, "invalid_credential")


async def test_a_proof_counts_once_and_only_for_its_request_and_key(machine: Machine) -> None:
    key, issued = await machine.session()
    good = machine.program(key, issued.token)
    assert (await machine.ask("/", headers=good)).status_code == 200
    assert is_refused(await machine.ask("/", headers=good), "invalid_credential")
    stranger = generate_key("ES256")
    token = issued.token
    for proof in (
        machine.proof(key, token, "/other"),
        machine.proof(key, token, method="POST"),
        machine.proof(key, token, origin=f"http://photos.env.localhost:{machine.port}"),
        machine.proof(key, token, origin=machine.api_origin),
        machine.proof(key, None),
        machine.proof(key, "another-token"),
        machine.proof(stranger, token),
        "",
        "x" * 9000,
    ):
        headers = {"doorward-authorization": f"DPoP {token}", "doorward-dpop": proof}
        assert is_refused(await machine.ask("/", headers=headers), "invalid_credential")


async def test_a_bad_proof_does_not_fall_back_to_a_good_cookie(machine: Machine) -> None:
    key, issued = await machine.session()
    cookie = await machine.cookie()
    for extra in (
        {"doorward-authorization": f"Bearer {issued.token}"},
        {"doorward-authorization": f"DPoP {issued.token}"},
        {"doorward-dpop": machine.proof(key, issued.token)},
    ):
        assert (await machine.ask("/", headers=cookie | extra)).status_code == 401


async def test_a_token_without_a_key_is_not_let_in(machine: Machine) -> None:
    link = await machine.environment.pairing.create(MACHINE, scopes=("orchestration:read",), label=None)
    from doorward.environment.sessions.service import Caller

    issued = await machine.environment.sessions.exchange(
        link.credential, method="bearer-access-token", thumbprint=None, requested_scopes=None, caller=Caller()
    )
    key = generate_key("ES256")
    refused = await machine.ask("/", headers=machine.program(key, issued.token))
    assert refused.status_code == 401


async def test_a_sibling_page_cannot_write_with_the_visitors_cookie(machine: Machine) -> None:
    headers = await machine.cookie()
    sibling = {"origin": f"http://photos.env.localhost:{machine.port}"}
    refused = await machine.ask("/", method="POST", headers=headers | sibling)
    assert refused.status_code == 403
    assert is_refused(refused, "foreign_origin")
    own = await machine.ask("/", method="POST", headers=headers | {"origin": machine.origin})
    assert own.status_code == 200


async def test_a_service_that_does_not_run_is_named_with_its_port_to_who_was_let_in_only(
    machine: Machine,
) -> None:
    from doorward.environment.settings import Service

    (port,) = free_ports(1)
    await machine.environment.services.add(MACHINE, Service(name="notes", port=port))
    headers = await machine.cookie()
    let_in = await machine.ask("/", headers=headers | {"accept": "text/html"})
    assert let_in.status_code == 502
    assert f"port {port}" in let_in.text
    assert "notes" in let_in.text
    stranger = await machine.ask("/", headers={"accept": "text/html"})
    assert stranger.status_code == 303
    assert str(port) not in stranger.text


async def test_a_machine_that_is_not_linked_says_so(machine: Machine) -> None:
    from doorward.environment.keys import names

    machine.environment.secrets.remove(names.MANAGED_ENDPOINT)
    machine.environment.link._api_origin = None
    assert (await machine.ask("/", headers=PERSON)).status_code == 503


async def test_a_visitor_that_cannot_be_looked_up_is_told_so_and_not_let_in(machine: Machine) -> None:
    cookie = await machine.cookie()
    await machine.environment.database.close()
    answer = await machine.ask(headers=cookie)
    assert (answer.status_code, answer.json()["error"]) == (503, "cannot_check")


async def test_a_service_at_a_host_of_its_owners_own_is_reached_there_alone(machine: Machine) -> None:
    own = f"notes.ada.example:{machine.port}"
    await machine.environment.services.claimed(MACHINE, "notes", f"http://{own}/")
    sent = await machine.ask("/", host=own, headers=PERSON)
    assert sent.status_code == 303
    location = urlsplit(sent.headers["location"])
    assert f"{location.scheme}://{location.netloc}" == machine.api_origin
    assert parse_qs(location.query)["service"] == [own]
    _, issued = await machine.session()
    cookie = {"cookie": f"__Host-doorward={(await machine.child(issued.session.id, own)).cookie}"}
    assert (await machine.ask("/", host=own, headers=cookie)).status_code == 200
    assert (await machine.ask("/", headers=cookie)).status_code == 421

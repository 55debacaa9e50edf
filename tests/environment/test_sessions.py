"""Pairing credentials, session tokens and tickets (checklist 17-36)."""

import asyncio

import pytest

from doorward.environment.access import MACHINE
from doorward.environment.descriptor import describe_auth
from doorward.environment.pairing.rules import ALPHABET, new_credential, why_refused
from doorward.environment.sessions.authentication import AuthenticationFailed
from doorward.environment.sessions.client_details import Presented, describe_client
from doorward.environment.sessions.tokens import (
    SessionClaims,
    TicketClaims,
    TokenRefused,
    read_session_token,
    read_ticket,
    sign_token,
)
from doorward.t3_connect import parse_iso
from doorward.t3_connect.scopes import ADMINISTRATIVE_SCOPES, STANDARD_SCOPES
from tests.environment.conftest import Machine

KEY = b"\x07" * 32
CLAIMS = SessionClaims(
    sid="00000000-0000-4000-8000-000000000001",
    sub="one-time-token",
    scopes=["orchestration:read"],
    method="bearer-access-token",
    iat=1_782_561_600_000,
    exp=1_785_153_600_000,
)


@pytest.mark.conformance("connect-environment", 23)
def test_a_session_token_is_the_published_vector_and_reads_back() -> None:
    token = sign_token(CLAIMS, KEY)
    assert token.partition(".")[2] == "uQWqRLG60H3kIpYfeUxghGy8kcUARfGyNwkiEgnIxZs"
    read = read_session_token(token, KEY, now=CLAIMS.iat)
    assert (read.sid, read.sub, read.scopes, read.method) == (
        CLAIMS.sid,
        CLAIMS.sub,
        CLAIMS.scopes,
        CLAIMS.method,
    )


@pytest.mark.conformance("connect-environment", 24)
def test_an_altered_token_does_not_hold() -> None:
    token = sign_token(CLAIMS, KEY)
    payload, _, signature = token.partition(".")
    flipped = payload[:-2] + ("A" if payload[-2] != "A" else "B") + payload[-1]
    for bad in (
        "abc",
        "",
        ".",
        f"{flipped}.{signature}",
        f"{payload}.{signature[:-2]}AA",
        f"{token}.x",
        token + "é",
    ):
        with pytest.raises(TokenRefused):
            read_session_token(bad, KEY, now=CLAIMS.iat)
    with pytest.raises(TokenRefused):
        read_session_token(token, b"\x08" * 32, now=CLAIMS.iat)


def test_a_ticket_is_no_session_token_and_the_other_way_round() -> None:
    ticket = sign_token(TicketClaims(sid="s", iat=0, exp=10), KEY)
    with pytest.raises(TokenRefused):
        read_session_token(ticket, KEY, now=1)
    with pytest.raises(TokenRefused):
        read_ticket(sign_token(CLAIMS, KEY), KEY, now=CLAIMS.iat)
    assert read_ticket(ticket, KEY, now=9).sid == "s"


@pytest.mark.conformance("connect-environment", 25)
def test_a_token_ends_exactly_at_its_expiry() -> None:
    token = sign_token(CLAIMS, KEY)
    read_session_token(token, KEY, now=CLAIMS.exp - 1)
    for now in (CLAIMS.exp, CLAIMS.exp + 1):
        with pytest.raises(TokenRefused):
            read_session_token(token, KEY, now=now)


@pytest.mark.conformance("connect-environment", 17)
def test_a_credential_is_twelve_of_thirty_two_symbols() -> None:
    assert len(ALPHABET) == len(set(ALPHABET)) == 32
    made = {new_credential() for _ in range(300)}
    assert len(made) == 300
    assert {len(credential) for credential in made} == {12}
    assert set("".join(made)) == set(ALPHABET)


def test_why_a_credential_is_refused_follows_the_published_order() -> None:
    yes = {
        "is_known": True,
        "is_revoked": True,
        "is_consumed": True,
        "is_expired": True,
        "is_other_key": True,
    }
    assert why_refused(**{**yes, "is_known": False}) == "unknown"
    assert why_refused(**yes) == "unavailable"
    assert why_refused(**{**yes, "is_revoked": False}) == "unknown"
    assert why_refused(**{**yes, "is_revoked": False, "is_consumed": False}) == "expired"
    last = {**yes, "is_revoked": False, "is_consumed": False, "is_expired": False}
    assert why_refused(**last) == "key_mismatch"
    assert why_refused(**{**last, "is_other_key": False}) == "unavailable"


@pytest.mark.conformance("connect-environment", 30, 31)
@pytest.mark.parametrize(
    ("agent", "device_type", "system", "browser"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) Electron/30 Chrome/124 Safari/537", "desktop", "Linux", "Electron"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/124 Safari/537 Edg/124", "desktop", "Windows", "Edge"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17 like Mac OS X) Safari/604", "mobile", "iOS", "Safari"),
        ("Mozilla/5.0 (iPad; CPU OS 17) CriOS/120 Safari/604", "tablet", "iOS", "Chrome"),
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel) Chrome/120 Mobile Safari/537",
            "mobile",
            "Android",
            "Chrome",
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X) Firefox/120", "desktop", "macOS", "Firefox"),
        ("Opera OPR/100 Chrome/120", "desktop", None, "Opera"),
        ("curl/8", "bot", None, None),
        (None, "unknown", None, None),
    ],
)
def test_a_client_is_described_by_its_agent_unless_it_says_otherwise(
    agent: str | None, device_type: str, system: str | None, browser: str | None
) -> None:
    seen = describe_client(user_agent=agent, ip_address="::ffff:203.0.113.7")
    assert (seen.device_type, seen.os, seen.browser) == (device_type, system, browser)
    assert seen.ip_address == "203.0.113.7"
    told = describe_client(
        user_agent=agent,
        ip_address="::1",
        presented=Presented(label=" Mine ", device_type="tablet", os="Plan 9"),
    )
    assert (told.label, told.device_type, told.os) == ("Mine", "tablet", "Plan 9")
    assert (told.user_agent, told.ip_address, told.browser) == (agent, "::1", browser)
    assert (
        describe_client(
            user_agent=agent, ip_address=None, presented=Presented(label="x"), grant_label="y"
        ).label
        == "y"
    )


def test_what_a_client_says_of_itself_is_cut_to_a_line() -> None:
    label = describe_client(user_agent=None, ip_address=None, presented=Presented(label="x" * 5_000)).label
    assert label is not None
    assert len(label) == 200


@pytest.mark.conformance("connect-environment", 32)
@pytest.mark.parametrize(
    ("host", "policy"),
    [
        ("127.0.0.1", "loopback-browser"),
        ("::1", "loopback-browser"),
        ("localhost", "loopback-browser"),
        ("0.0.0.0", "remote-reachable"),
        ("192.168.1.20", "remote-reachable"),
    ],
)
def test_the_policy_says_whether_others_can_reach_this_server(host: str, policy: str) -> None:
    auth = describe_auth(host)
    assert auth.policy == policy
    assert auth.bootstrap_methods == ("one-time-token",)
    assert auth.session_methods == ("browser-session-cookie", "bearer-access-token", "dpop-access-token")
    assert auth.session_cookie_name == "t3_session"


@pytest.mark.anyio
class TestConversations:
    @pytest.mark.conformance("connect-environment", 18)
    async def test_a_credential_opens_one_session(self, machine: Machine) -> None:
        link = await machine.environment.pairing.create(MACHINE, scopes=STANDARD_SCOPES, label=None)
        assert (await machine.exchange(link.credential)).status_code == 200
        again = await machine.exchange(link.credential)
        assert again.status_code == 401
        assert again.json()["reason"] == "invalid_credential"

    @pytest.mark.conformance("connect-environment", 19)
    async def test_of_many_who_present_a_credential_at_once_one_gets_in(self, machine: Machine) -> None:
        link = await machine.environment.pairing.create(MACHINE, scopes=STANDARD_SCOPES, label=None)
        answers = await asyncio.gather(*(machine.exchange(link.credential) for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9

    @pytest.mark.conformance("connect-environment", 20)
    async def test_a_bound_credential_survives_the_wrong_key(self, machine: Machine) -> None:
        device, thief = machine.device(), machine.device()
        await machine.ask_mint(device)
        await machine.environment.approvals.approve(MACHINE, device.thumbprint)
        credential = (await machine.ask_mint(device)).json()["credential"]
        assert (await machine.exchange(credential, thief)).status_code == 401
        assert (await machine.exchange(credential)).status_code == 401
        body = {"credential": credential}
        assert (await machine.local.post("/api/auth/browser-session", json=body)).status_code == 401
        assert (await machine.exchange(credential, device)).status_code == 200

    @pytest.mark.conformance("connect-environment", 17)
    @pytest.mark.parametrize(("age", "status"), [(299_999, 200), (300_000, 401)])
    async def test_a_credential_ends_after_five_minutes(
        self, machine: Machine, age: int, status: int
    ) -> None:
        link = await machine.environment.pairing.create(MACHINE, scopes=STANDARD_SCOPES, label=None)
        assert link.expires_at == machine.clock() + 300_000
        machine.clock.advance(age)
        assert (await machine.exchange(link.credential)).status_code == status

    @pytest.mark.conformance("connect-environment", 25)
    @pytest.mark.parametrize(("age", "status"), [(3_599_999, 200), (3_600_000, 401), (3_600_001, 401)])
    async def test_a_session_opens_nothing_from_its_expiry_on(
        self, machine: Machine, age: int, status: int
    ) -> None:
        owner = await machine.bearer()  # for an hour
        machine.clock.advance(age)
        answer = await machine.local.get("/api/auth/clients", headers=owner)
        assert answer.status_code == status
        assert status == 200 or answer.json()["reason"] == "invalid_credential"

    @pytest.mark.conformance("connect-environment", 24)
    @pytest.mark.parametrize("spoil", ["abc", "{0}.{1}x", "{0}x.{1}", "{0}"])
    async def test_an_altered_token_opens_nothing(self, machine: Machine, spoil: str) -> None:
        owner = await machine.bearer()
        payload, _, signature = owner["authorization"].partition(".")
        altered = spoil.format(payload.removeprefix("Bearer "), signature)
        answer = await machine.local.get("/api/auth/clients", headers={"authorization": f"Bearer {altered}"})
        assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_credential")

    @pytest.mark.conformance("connect-environment", 22, 34)
    async def test_a_pairing_link_is_listed_until_it_is_revoked_once(self, machine: Machine) -> None:
        owner = await machine.bearer()
        made = await machine.local.post(
            "/api/auth/pairing-token",
            json={"label": "Tablet", "scopes": list(ADMINISTRATIVE_SCOPES)},
            headers=owner,
        )
        link_id = made.json()["id"]
        [listed] = (await machine.local.get("/api/auth/pairing-links", headers=owner)).json()
        assert (listed["id"], listed["label"], listed["subject"]) == (link_id, "Tablet", "one-time-token")
        assert listed["scopes"] == list(ADMINISTRATIVE_SCOPES)
        revoke = {"url": "/api/auth/pairing-links/revoke", "json": {"id": link_id}, "headers": owner}
        assert (await machine.local.post(**revoke)).json() == {"revoked": True}
        assert (await machine.local.get("/api/auth/pairing-links", headers=owner)).json() == []
        assert (await machine.local.post(**revoke)).json() == {"revoked": False}

    async def test_the_newest_pairing_link_comes_first(self, machine: Machine) -> None:
        for label in ("first", "second", "third"):
            await machine.environment.pairing.create(MACHINE, scopes=STANDARD_SCOPES, label=label)
            machine.clock.advance(1)
        listed = await machine.environment.pairing.list(MACHINE)
        assert [link.label for link in listed] == ["third", "second", "first"]

    @pytest.mark.conformance("connect-environment", 33)
    async def test_the_owners_own_link_opens_an_administrative_session_and_is_never_listed(
        self, machine: Machine
    ) -> None:
        link = await machine.environment.pairing.one_time_link()
        owner = await machine.bearer()
        assert (await machine.local.get("/api/auth/pairing-links", headers=owner)).json() == []
        opened = await machine.local.post(
            "/api/auth/browser-session", json={"credential": link.rpartition("=")[2]}
        )
        assert opened.json()["scopes"] == list(ADMINISTRATIVE_SCOPES)

    @pytest.mark.conformance("connect-environment", 26)
    async def test_a_ticket_counts_while_its_session_does(self, machine: Machine) -> None:
        device = machine.device()
        await machine.admit(device)
        answer = await machine.as_device(device, "POST", "/api/auth/websocket-ticket")
        body = answer.json()
        assert parse_iso(body["expiresAt"]) == machine.clock() + 300_000
        session = await machine.environment.authentication.session_of_ticket(body["ticket"])
        assert session.thumbprint == device.thumbprint
        await machine.environment.sessions.end(session.id, by=MACHINE)
        with pytest.raises(Exception, match="ended"):
            await machine.environment.authentication.session_of_ticket(body["ticket"])

    @pytest.mark.conformance("connect-environment", 48)
    async def test_a_ticket_lasts_five_minutes(self, machine: Machine) -> None:
        owner = await machine.bearer()
        body = (await machine.local.post("/api/auth/websocket-ticket", headers=owner)).json()
        assert parse_iso(body["expiresAt"]) == machine.clock() + 300_000
        machine.clock.advance(299_999)
        for _ in range(2):  # as often as one likes, as long as it lasts
            session = await machine.environment.authentication.session_of_ticket(body["ticket"])
            assert session.method == "bearer-access-token"
        machine.clock.advance(1)
        with pytest.raises(AuthenticationFailed):
            await machine.environment.authentication.session_of_ticket(body["ticket"])

    @pytest.mark.conformance("connect-environment", 26)
    async def test_a_ticket_does_not_outlive_the_expiry_of_its_session(self, machine: Machine) -> None:
        device = machine.device()
        await machine.admit(device)
        machine.clock.advance(3_600_000 - 60_000)
        body = (await machine.as_device(device, "POST", "/api/auth/websocket-ticket")).json()
        assert parse_iso(body["expiresAt"]) > machine.clock() + 60_000
        machine.clock.advance(59_999)
        await machine.environment.authentication.session_of_ticket(body["ticket"])
        machine.clock.advance(1)
        with pytest.raises(AuthenticationFailed):
            await machine.environment.authentication.session_of_ticket(body["ticket"])

    @pytest.mark.conformance("connect-environment", 27)
    async def test_a_broken_database_is_our_failure_and_not_the_callers(self, machine: Machine) -> None:
        owner = await machine.bearer()
        await machine.environment.database.write(
            lambda tx: tx.execute("ALTER TABLE auth_sessions RENAME TO gone")
        )
        for path in ("/api/auth/clients", "/api/auth/session"):
            answer = await machine.local.get(path, headers=owner)
            assert answer.status_code == 500
            assert answer.json()["reason"] == "internal_error"

    @pytest.mark.conformance("connect-environment", 28)
    async def test_only_the_first_of_several_sockets_is_a_new_visit(self, machine: Machine) -> None:
        device = machine.device()
        await machine.admit(device)
        sessions = machine.environment.sessions
        [listed] = await sessions.list(MACHINE)
        assert (listed.is_connected, listed.session.last_connected_at) == (False, None)
        first = machine.clock()
        await sessions.connected(listed.session)
        machine.clock.advance(1_000)
        await sessions.connected(listed.session)
        [again] = await sessions.list(MACHINE)
        assert (again.is_connected, again.session.last_connected_at) == (True, first)
        await sessions.disconnected(listed.session)
        await sessions.disconnected(listed.session)
        assert not (await sessions.list(MACHINE))[0].is_connected
        await sessions.connected(listed.session)
        assert (await sessions.list(MACHINE))[0].session.last_connected_at == machine.clock()

    async def test_who_may_decide_is_listed_first_then_who_is_connected_then_who_came_last(
        self, machine: Machine
    ) -> None:
        sessions = machine.environment.sessions
        made = []
        for scopes in (ADMINISTRATIVE_SCOPES, STANDARD_SCOPES, STANDARD_SCOPES, STANDARD_SCOPES):
            issued = await sessions.issue(
                subject="test", scopes=scopes, label=None, lifetime_ms=3_600_000, actor=MACHINE
            )
            made.append(issued.session)
            machine.clock.advance(1)
        await sessions.connected(made[1])
        everybody = [item.session.id for item in await sessions.list(MACHINE)]
        assert everybody == [made[index].id for index in (0, 1, 3, 2)]

    @pytest.mark.conformance("connect-environment", 29, 64)
    async def test_a_bound_session_lasts_an_hour_and_a_bearer_a_month(self, machine: Machine) -> None:
        device = machine.device()
        await machine.ask_mint(device)
        await machine.environment.approvals.approve(MACHINE, device.thumbprint)
        bound = (await machine.exchange((await machine.ask_mint(device)).json()["credential"], device)).json()
        assert (bound["token_type"], bound["expires_in"]) == ("DPoP", 3600)
        link = await machine.environment.pairing.create(MACHINE, scopes=STANDARD_SCOPES, label=None)
        bearer = (await machine.exchange(link.credential)).json()
        assert (bearer["token_type"], bearer["expires_in"]) == ("Bearer", 30 * 24 * 3600)

    @pytest.mark.conformance("connect-environment", 35, 36, 47)
    async def test_ending_the_others_spares_ones_own_and_lists_show_no_token(self, machine: Machine) -> None:
        owner, other, third = await machine.bearer(), await machine.bearer(), await machine.bearer()
        listing = await machine.local.get("/api/auth/clients", headers=owner)
        assert len(listing.json()) == 3
        for headers in (owner, other, third):
            assert headers["authorization"].removeprefix("Bearer ") not in listing.text
        [own] = [entry["sessionId"] for entry in listing.json() if entry["current"]]
        refused = await machine.local.post("/api/auth/clients/revoke", json={"sessionId": own}, headers=owner)
        assert (refused.status_code, refused.json()["reason"]) == (403, "current_session_revoke_not_allowed")
        another = next(entry["sessionId"] for entry in listing.json() if not entry["current"])
        ended = await machine.local.post(
            "/api/auth/clients/revoke", json={"sessionId": another}, headers=owner
        )
        assert ended.json() == {"revoked": True}
        rest = await machine.local.post("/api/auth/clients/revoke-others", headers=owner)
        assert rest.json() == {"revokedCount": 1}
        for headers in (other, third):
            assert (await machine.local.get("/api/auth/clients", headers=headers)).status_code == 401
        assert len((await machine.local.get("/api/auth/clients", headers=owner)).json()) == 1

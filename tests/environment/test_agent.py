"""The agent as a process's heart: real sockets, a relay that answers, and the CLI's verbs beside it."""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from doorward.environment import EnvironmentSettings, Service
from doorward.environment.access import MACHINE
from doorward.environment.agent import Agent, AgentCannotStart, running_agent
from doorward.environment.keys import names
from doorward.environment.keys.runtime_file import read_runtime_file
from doorward.environment.link.cli_token import CliToken
from doorward.environment.local import VerbFailed, open_machine
from doorward.jose import generate_key, sign_jwt
from doorward.t3_connect.messages import EndpointRuntime
from doorward.t3_connect.scopes import ADMINISTRATIVE_SCOPES
from tests.environment.scripted_relay import ScriptedRelay, scripted_relay
from tests.ports import free_ports

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


@pytest.fixture
async def relay() -> AsyncIterator[ScriptedRelay]:
    async with scripted_relay() as running:
        yield running


@asynccontextmanager
async def agent_at(
    home: Path, relay: ScriptedRelay | None = None, **settings: object
) -> AsyncIterator[Agent]:
    made = EnvironmentSettings(
        home=home,
        label="Box",
        port=0,
        relay_url=relay.url if relay else None,
        **settings,  # type: ignore[arg-type]
    )
    async with running_agent(made) as agent:
        yield agent


async def until(condition: object, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - a condition of another task
            await asyncio.sleep(0.01)


def grant(agent: Agent) -> tuple[str, str, int]:
    return "access-1", "refresh-1", agent.environment.clock() + HOUR


@pytest.mark.conformance("connect-environment", 14)
async def test_a_running_agent_says_where_it_is_and_a_stopped_one_leaves_nothing(tmp_path: Path) -> None:
    async with agent_at(tmp_path) as agent:
        runtime = read_runtime_file(tmp_path / "userdata")
        assert runtime is not None
        assert runtime.origin == f"http://127.0.0.1:{agent.environment.port}"
        assert runtime.version == 1
        for name in ("api.sock", "agent.sock"):
            assert stat.S_IMODE((tmp_path / "run" / name).stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
        async with httpx.AsyncClient(base_url=runtime.origin) as client:
            descriptor = (await client.get("/.well-known/t3/environment")).json()
        assert descriptor["environmentId"] == agent.environment.environment_id
    assert read_runtime_file(tmp_path / "userdata") is None
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["agent.lock"]


async def test_a_second_agent_on_the_same_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    async with agent_at(tmp_path):
        with pytest.raises(AgentCannotStart, match=r"running for .* already"):
            async with agent_at(tmp_path):
                pass


@pytest.mark.parametrize("is_doorward", [True, False], ids=["our relay", "a relay without names"])
async def test_with_cloudflares_tunnel_the_gate_judges_what_arrives_at_the_named_origin(
    tmp_path: Path, relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch, is_doorward: bool
) -> None:
    cloudflared = tmp_path / "cloudflared"
    cloudflared.write_text("#!/bin/sh\nexec sleep 60\n")
    cloudflared.chmod(0o755)
    monkeypatch.setenv("T3CODE_CLOUDFLARED_PATH", str(cloudflared))
    relay.endpoint_runtime = EndpointRuntime(
        provider_kind="cloudflare_tunnel", connector_token="cloudflares-own", tunnel_id="t"
    )
    relay.has_names = is_doorward
    # Not one that the kernel gives to somebody else between the two agents.
    (tmp_path / "userdata").mkdir()
    (tmp_path / "userdata" / "gate-port").write_text(f"{free_ports(1)[0]}\n")
    async with agent_at(tmp_path, relay, services=(Service(name="demo", port=9000),)) as agent:
        environment = agent.environment
        await agent.link_with(grant(agent))
        await until(lambda: environment.supervisor.status.status == "running")
        port = relay.proofs[-1]["origin"]["localHttpPort"]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as carried:
            api = {"host": "box-0123456789abcdef.env.localhost:8080"}
            answer = await carried.get("/.well-known/t3/environment", headers=api)
            assert answer.json()["environmentId"] == environment.environment_id
            # What only the machine's own page may do is not there.
            assert (await carried.get("/api/connect/link-state", headers=api)).status_code == 404
            assert (await carried.get("/", headers={"host": "other.example"})).status_code == 421
            if is_doorward:
                await until(lambda: environment.services.by_host("demo.env.localhost:8080") is not None)
                service = await carried.get("/", headers={"host": "demo.env.localhost:8080"})
                assert service.status_code == 401
            else:
                await until(lambda: environment.services.published()[0].refusal == "names_not_offered")
                assert agent.link_failure is None
    async with agent_at(tmp_path, relay):
        await until(lambda: len(relay.proofs) == 2)
        # Cloudflare remembers where the tunnel leads.
        assert relay.proofs[-1]["origin"]["localHttpPort"] == port


async def test_a_second_start_finds_everything_as_it_was(tmp_path: Path) -> None:
    async with agent_at(tmp_path, services=(Service(name="demo", port=9000),)) as agent:
        first = (agent.environment.environment_id, agent.environment.keys.public_pem())
    async with agent_at(tmp_path) as agent:
        assert (agent.environment.environment_id, agent.environment.keys.public_pem()) == first
        assert [service.name for service in agent.environment.services.published()] == ["demo"]


async def test_a_new_environment_asks_before_it_lets_anybody_in(tmp_path: Path) -> None:
    async with agent_at(tmp_path) as agent:
        assert agent.environment.approvals.mode() == "client-approval"


@pytest.mark.conformance("connect-environment", 76)
async def test_with_a_sign_in_the_agent_links_itself_and_claims_its_services(
    tmp_path: Path, relay: ScriptedRelay
) -> None:
    services = (Service(name="demo", port=9000), Service(name="taken", port=9001))
    async with agent_at(tmp_path, relay, services=services) as agent:
        environment = agent.environment
        await agent.link_with(grant(agent))
        await until(lambda: environment.services.by_host("demo.env.localhost:8080") is not None)
        assert relay.bearers == {"Bearer access-1"}
        proof = relay.proofs[-1]
        assert proof["aud"] == relay.url
        assert proof["sub"] == proof["environmentId"] == environment.environment_id
        origin = proof["origin"]
        assert origin["localHttpHost"] == "127.0.0.1"
        # Cloudflare's tunnel would carry there, to the gate, never to the machine's own page.
        assert origin["localHttpPort"] != environment.port
        with pytest.raises(httpx.ConnectError):
            await httpx.AsyncClient().get(f"http://127.0.0.1:{origin['localHttpPort']}/")
        assert proof["endpoint"]["providerKind"] == "cloudflare_tunnel"
        assert proof["scopes"] == ["agent_activity_notifications", "managed_tunnels"]
        assert environment.link.api_origin() == "http://box-0123456789abcdef.env.localhost:8080"
        assert environment.link.is_api_host("box-0123456789abcdef.env.localhost:8080")
        assert not environment.link.is_api_host("demo.env.localhost:8080")
        await until(
            lambda: {service.refusal for service in environment.services.published()} == {None, "name_taken"}
        )
        async with open_machine(tmp_path) as machine:
            status = await machine.status()
        assert status.linked
        assert status.desired
        assert status.cloud_user_id == "user_owner"
        assert status.endpoint_runtime_status.status == "disabled"


@pytest.mark.conformance("connect-environment", 182)
async def test_a_relay_that_is_down_does_not_stop_the_agent_and_is_tried_again(
    tmp_path: Path, relay: ScriptedRelay, caplog: pytest.LogCaptureFixture
) -> None:
    relay.is_down = True
    async with agent_at(tmp_path, relay) as agent:
        await agent.link_with(grant(agent))
        await until(lambda: agent.environment.reconciler.last_failure is not None)
        assert "T3 Connect relay request failed" in str(agent.environment.reconciler.last_failure)
        assert "the link could not be brought about" in caplog.text
        relay.is_down = False
        await until(lambda: agent.environment.reconciler.last_failure is None)
        await until(lambda: agent.environment.link.api_origin() is not None)


@pytest.mark.conformance("connect-environment", 183)
async def test_a_wanted_link_without_a_sign_in_is_logged_with_the_way_out(
    tmp_path: Path, relay: ScriptedRelay, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_machine(tmp_path) as machine:
        await machine.link()
    async with agent_at(tmp_path, relay) as agent:
        await until(lambda: agent.environment.reconciler.last_failure is not None)
    assert "Run `doorward connect link` to authorize this environment." in caplog.text
    assert relay.proofs == []


@pytest.mark.conformance("connect-environment", 180)
async def test_a_token_about_to_expire_is_refreshed_once_for_everybody_and_keeps_its_refresh_token(
    tmp_path: Path, relay: ScriptedRelay
) -> None:
    async with agent_at(tmp_path, relay, accounts_origin=relay.url) as agent:
        tokens, clock = agent.environment.tokens, agent.environment.clock
        # A token with more than five minutes left is taken as it is.
        tokens.store(
            CliToken(
                access_token="young", refresh_token="refresh-0", expires_at_epoch_ms=clock() + 6 * 60_000
            )
        )
        assert await tokens.existing() == "young"
        assert relay.refreshes == []
        await agent.link_with(("access-old", "refresh-1", clock() + 4 * 60_000))
        assert set(await asyncio.gather(*(tokens.existing() for _ in range(5)))) == {"access-refreshed"}
        assert relay.refreshes == ["refresh-1"]
        stored = json.loads(agent.environment.secrets.get(names.CLI_TOKEN) or b"")
        assert stored["refreshToken"] == "refresh-1"


@pytest.mark.conformance("connect-environment", 184)
async def test_unlinking_forgets_the_link_here_and_at_the_relay(tmp_path: Path, relay: ScriptedRelay) -> None:
    async with agent_at(tmp_path, relay) as agent:
        await agent.link_with(grant(agent))
        await until(lambda: agent.environment.link.api_origin() is not None)
        async with open_machine(tmp_path) as machine:
            report = await machine.unlink()
            assert (report.live, report.relay) == ("stopped", "revoked")
            status = await machine.status()
        assert not status.linked
        assert not status.desired
        assert status.authenticated
        assert relay.deleted == [agent.environment.environment_id]


async def test_verbs_work_the_same_with_and_without_an_agent(tmp_path: Path) -> None:
    async def talk(expected_pid: bool) -> None:
        async with open_machine(tmp_path) as machine:
            status = await machine.status()
            assert (status.pid is not None) is expected_pid
            assert await machine.security_mode() == "client-approval"
            assert await machine.clients() == []
            assert await machine.approve("-starts-with-a-dash") is None
            assert await machine.reject("unknown") is None
            assert await machine.revoke("unknown") is False
            assert (await machine.add_service(Service(name="notes", port=8888))).port == 8888
            assert [service.name for service in await machine.services()] == ["notes"]
            assert await machine.remove_service("notes") is True
            assert (await machine.unlink()).relay == "not_linked"
            assert any(entry.action == "service.add" for entry in await machine.audit())

    await talk(expected_pid=False)
    async with agent_at(tmp_path):
        await talk(expected_pid=True)


@pytest.mark.parametrize("broken", ["environment-id", "secrets/connect-security-mode-stored.bin"])
async def test_a_machine_that_cannot_be_opened_leaves_no_database_open(tmp_path: Path, broken: str) -> None:
    async with agent_at(tmp_path):
        pass
    path = tmp_path / "userdata" / broken
    path.unlink()
    path.mkdir()
    async with open_machine(tmp_path) as machine:
        for _ in range(2):
            with pytest.raises(VerbFailed):
                await machine.status()
        opened = [target_of(descriptor) for descriptor in os.listdir("/proc/self/fd")]
    assert not [name for name in opened if name.startswith(str(tmp_path))]


def target_of(descriptor: str) -> str:
    """What it is of; nothing where somebody has closed it meanwhile."""
    with suppress(FileNotFoundError):
        return os.readlink(f"/proc/self/fd/{descriptor}")
    return ""


async def test_an_unreadable_mode_is_told_and_repaired_by_the_machine(tmp_path: Path) -> None:
    async with agent_at(tmp_path) as agent:
        agent.environment.secrets.set(names.SECURITY_MODE, b"CLIENT-APPROVAL")
        async with open_machine(tmp_path) as machine:
            with pytest.raises(VerbFailed, match="Invalid Connect security mode: CLIENT-APPROVAL") as refused:
                await machine.security_mode()
            assert refused.value.code == "security_mode_unreadable"
            assert (await machine.status()).connect_security_mode is None
            await machine.set_security_mode("account")
            assert await machine.security_mode() == "account"


async def test_nonsense_on_the_control_socket_is_answered_and_harms_nothing(tmp_path: Path) -> None:
    async with agent_at(tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "run" / "agent.sock"))
        writer.write(b'{"verb":"nothing"}\nnot json\n{"verb":"ask"}\n')
        answers = [json.loads(await reader.readline()) for _ in range(3)]
        writer.close()
        assert [answer.get("error", {}).get("code") for answer in answers] == ["request_malformed"] * 2 + [
            None
        ]
        assert answers[2]["result"]["label"] == "Box"


async def test_the_one_time_link_opens_one_session_and_no_second(tmp_path: Path) -> None:
    async with agent_at(tmp_path) as agent:
        link = await agent.one_time_link()
        base, _, credential = link.partition("/connections/open#token=")
        assert base == f"http://machine.localhost:{agent.environment.port}"
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{agent.environment.port}") as client:
            first = await client.post("/api/auth/browser-session", json={"credential": credential})
            second = await client.post("/api/auth/browser-session", json={"credential": credential})
        assert (first.status_code, second.status_code) == (200, 401)


@pytest.mark.conformance("connect-environment", 48, 49, 154)
async def test_a_real_socket_is_refused_without_credentials_answers_with_them_and_ends_with_its_session(
    tmp_path: Path,
) -> None:
    async with agent_at(tmp_path) as agent:
        environment = agent.environment
        url = f"ws://127.0.0.1:{environment.port}/ws"
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body or b"")["_tag"] == "EnvironmentAuthInvalidError"
        issued = await environment.sessions.issue(
            subject="test", scopes=ADMINISTRATIVE_SCOPES, label=None, lifetime_ms=HOUR, actor=MACHINE
        )
        ticket, _ = environment.sessions.ticket(issued.session)
        bearer = {"authorization": f"Bearer {issued.token}"}
        # A ticket that is there decides alone, and goes by no other name.
        for query, headers in ((f"token={ticket}", {}), (f"wsTicket={ticket}x", bearer), ("wsTicket=", {})):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"{url}?{query}", additional_headers=headers)
            assert refused.value.response.status_code == 401
        for query, headers in ((f"wsTicket={ticket}", {}), ("wsTicket=%20", bearer)):
            async with connect(f"{url}?{query}", additional_headers=headers) as socket:
                await socket.send('{"_tag":"Ping"}')
                assert json.loads(await socket.recv()) == {"_tag": "Pong"}
                assert environment.sessions.is_connected(issued.session.id)
            await until(lambda: not environment.sessions.is_connected(issued.session.id))
        database = environment.database
        await database.write(lambda tx: tx.execute("ALTER TABLE auth_sessions RENAME TO gone"))
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers=bearer)
        assert refused.value.response.status_code == 500
        await database.write(lambda tx: tx.execute("ALTER TABLE gone RENAME TO auth_sessions"))
        async with connect(f"{url}?wsTicket={ticket}") as socket:
            async with asyncio.timeout(15):
                await environment.sessions.end(issued.session.id, by=MACHINE)
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
        with pytest.raises(InvalidStatus):
            await connect(f"{url}?wsTicket={ticket}")


async def test_two_processes_never_use_one_refresh_token_twice(tmp_path: Path, relay: ScriptedRelay) -> None:
    from doorward.environment.keys import SecretStore
    from doorward.environment.link.cli_token import CliTokens

    async with agent_at(tmp_path, relay, accounts_origin=relay.url) as agent:
        environment = agent.environment
        beside = CliTokens(
            SecretStore(tmp_path / "userdata" / "secrets"),
            environment.clock,
            environment.outbound,
            accounts_origin=relay.url,
            client_id="doorward-cli",
        )
        await agent.link_with(("access-old", "refresh-1", environment.clock() + 60_000))
        tokens = await asyncio.gather(environment.tokens.existing(), beside.existing())
        assert tokens == ["access-refreshed", "access-refreshed"]
        assert relay.refreshes == ["refresh-1"]


async def test_a_token_too_old_to_connect_with_is_refreshed_long_before_it_ends(
    tmp_path: Path, relay: ScriptedRelay
) -> None:
    key = generate_key("EdDSA")
    async with agent_at(tmp_path, relay, accounts_origin=relay.url) as agent:
        tokens, now = agent.environment.tokens, agent.environment.clock()
        young = sign_jwt({"iat": (now - 60_000) / 1000}, key, typ="at+jwt")
        old = sign_jwt({"iat": (now - 660_000) / 1000}, key, typ="at+jwt")
        for access, expected in ((young, young), (old, "access-refreshed"), ("opaque", "access-refreshed")):
            stored = CliToken(
                access_token=access, refresh_token="refresh-1", expires_at_epoch_ms=now + 80_000_000
            )
            tokens.store(stored)
            assert await tokens.existing() == access
            assert await tokens.existing(max_age_ms=600_000) == expected


async def test_a_service_name_is_a_label_and_nothing_else() -> None:
    for name in ("", "a/b", "..", "Demo", "a.b", "-a", "a-", "x" * 64, "a?b"):
        with pytest.raises(ValueError, match="name"):
            Service(name=name, port=80)


async def test_another_service_is_published_without_touching_the_link(
    tmp_path: Path, relay: ScriptedRelay
) -> None:
    async with agent_at(tmp_path, relay) as agent:
        await agent.link_with(grant(agent))
        await until(lambda: agent.environment.link.api_origin() is not None)
        links = len(relay.proofs)
        async with open_machine(tmp_path) as machine:
            await machine.add_service(Service(name="notes", port=8888))
            await until(lambda: agent.environment.services.by_host("notes.env.localhost:8080") is not None)
            assert len(relay.proofs) == links
            [service] = await machine.services()
            assert service.public_url == "http://notes.env.localhost:8080/"
            assert await machine.remove_service("notes")
            assert agent.environment.services.by_host("notes.env.localhost:8080") is None
            with pytest.raises(VerbFailed, match="own page"):
                await machine.add_service(Service(name="loop", port=agent.environment.port))
        await agent.link_with(grant(agent))
        await until(lambda: len(relay.proofs) == links + 1)


async def test_a_name_that_the_relay_gives_while_its_service_is_taken_back_leads_nowhere(
    tmp_path: Path,
) -> None:
    async with agent_at(tmp_path, services=(Service(name="notes", port=9000),)) as agent:
        services = agent.environment.services
        await asyncio.gather(
            services.remove(MACHINE, "notes"),
            services.claimed(MACHINE, "notes", "http://notes.env.localhost:8080/"),
        )
        assert services.published() == ()
        assert services.by_host("notes.env.localhost:8080") is None
    async with agent_at(tmp_path) as agent:
        assert agent.environment.services.published() == ()


async def test_under_a_link_that_a_browser_made_services_get_their_names_too(
    tmp_path: Path, relay: ScriptedRelay
) -> None:
    async with agent_at(tmp_path, relay, services=(Service(name="demo", port=9000),)) as agent:
        environment = agent.environment
        issued = await environment.sessions.issue(
            subject="page", scopes=ADMINISTRATIVE_SCOPES, label=None, lifetime_ms=HOUR, actor=MACHINE
        )
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{environment.port}") as client:
            answer = await client.post(
                "/api/connect/relay-config",
                headers={"authorization": f"Bearer {issued.token}"},
                json={
                    "relayUrl": relay.url,
                    "cloudUserId": "user_owner",
                    "environmentCredential": "t3env_secret",
                    "cloudMintPublicKey": relay.key.public.to_pem(),
                    "endpointRuntime": None,
                },
            )
        assert answer.status_code == 200
        await until(lambda: environment.services.by_host("demo.env.localhost:8080") is not None)
        assert relay.proofs == []

"""A machine whose edge's key is pinned, and that meets another: what its owner is told, wherever they look."""

import asyncio
import socket
from pathlib import Path

import pytest

from doorward.cli.status import status_text
from doorward.client.configuration import PublicConfiguration, save_configuration
from doorward.environment import EnvironmentSettings
from doorward.environment.access import MACHINE
from doorward.environment.agent import running_agent
from doorward.environment.local import open_machine
from doorward.environment.pages.state import _link
from doorward.server.doctor.machine import examine_machine
from doorward.t3_connect.messages import EndpointRuntime
from doorward.tunnel import ConnectorToken
from tests.e2e.certificates import issue
from tests.environment.scripted_relay import scripted_relay
from tests.environment.test_agent import grant, until
from tests.tunnel.secure_edge import shown

pytestmark = pytest.mark.anyio

PINS = frozenset({"sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="})


def tunnel_to(port: int) -> EndpointRuntime:
    token = ConnectorToken(
        edge_url=f"https://edge.localhost:{port}",
        hostnames=["box-0123456789abcdef.env.localhost"],
        environment_id="tunnel-1",
        generation=1,
        seed=b"\x01" * 32,
    )
    return EndpointRuntime(
        provider_kind="cloudflare_tunnel", connector_token=token.encode(), tunnel_id="tunnel-1"
    )


async def test_who_stands_between_is_told_by_status_doctor_and_connections(tmp_path: Path) -> None:
    certificates = issue(tmp_path, ["edge.localhost"], authority_name="Acme Web Filter CA")
    home = tmp_path / "home"
    home.mkdir()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    sock = socket.create_server(("127.0.0.1", 0))
    async with (
        await asyncio.start_server(listen, sock=sock, ssl=shown(certificates)),
        scripted_relay() as relay,
    ):
        relay.endpoint_runtime = tunnel_to(sock.getsockname()[1])
        settings = EnvironmentSettings(home=home, label="Box", port=0, relay_url=relay.url, edge_pins=PINS)
        save_configuration(
            home, PublicConfiguration(relay_url=relay.url, accounts_origin="http://a.localhost:9")
        )
        async with running_agent(settings, ca_file=certificates.authority) as agent:
            supervisor = agent.environment.supervisor
            await agent.link_with(grant(agent))
            await until(lambda: supervisor.connector is not None and supervisor.connector.state.reason, 30)  # type: ignore[union-attr]
            async with open_machine(home) as machine:
                status = await machine.status()
            assert (status.tunnel, status.tunnel_reason) == ("connecting", "tls_intercepted")
            told = "Somebody stands between this machine and edge.localhost"
            assert told in status_text(status)
            assert "issued by CN=Acme Web Filter CA" in status_text(status)
            found = {finding.check: finding async for finding in examine_machine(home)}
            assert found["tunnel"].level == "problem"
            assert told in found["tunnel"].what
            assert "DOORWARD_EDGE_PINS" in found["tunnel"].mend
            seen = _link(agent.environment, MACHINE)
            assert seen is not None
            assert (seen.state, told in (seen.problem or "")) == ("connecting", True)


async def test_where_keys_are_pinned_no_other_program_opens_the_tunnel(tmp_path: Path) -> None:
    async with scripted_relay() as relay:
        relay.endpoint_runtime = EndpointRuntime(
            provider_kind="cloudflare_tunnel", connector_token="cloudflares-own", tunnel_id="t"
        )
        settings = EnvironmentSettings(
            home=tmp_path, label="Box", port=0, relay_url=relay.url, edge_pins=PINS
        )
        async with running_agent(settings) as agent:
            await agent.link_with(grant(agent))
            await until(lambda: agent.link_failure, 30)
            assert "checks no pinned key" in (agent.link_failure or "")
            assert not agent.environment.link.state(MACHINE).linked

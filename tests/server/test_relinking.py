"""After the relay's mint key was replaced: its machines refuse it, until their agents start again and pin the new one.

And whatever happens to them, their logs hold nothing of what they keep secret.
"""

import json
import re
from pathlib import Path

import pytest

from doorward.client.configuration import PublicConfiguration, save_configuration
from doorward.client.errors import ClientError
from doorward.client.relay import RelayClient
from doorward.jose import generate_key
from doorward.outbound import Outbound
from doorward.store import system_clock
from doorward.t3_connect.messages import ClientMeta, ConnectPending
from tests.e2e.accounts import Account, keep
from tests.e2e.processes import Program, command
from tests.ports import free_ports
from tests.server.nodes import served

pytestmark = pytest.mark.anyio


async def test_a_machine_follows_a_new_mint_key_when_its_agent_starts_again(tmp_path: Path) -> None:
    home, outbound = tmp_path / "machine", Outbound()
    home.mkdir()
    service_port, own_port = free_ports(2)
    agents = []

    def start_agent() -> Program:
        arguments = ["expose", str(service_port), "--name", "demo", "--environment-port", str(own_port)]
        agents.append(Program(arguments, home=home))
        agents[-1].wait_for("Ctrl-C stops exposing")
        return agents[-1]

    try:
        with served(tmp_path / "node") as node:
            save_configuration(home, PublicConfiguration(relay_url=node.relay, accounts_origin=node.accounts))
            account = Account(node.accounts, outbound)
            await account.sign_up(node.administrator(), node.mailed_code)
            grant = await account.grant()
            keep(await account.grant(), home, outbound, account)
            agent = start_agent()

            async def connect() -> object:
                async def token() -> str:
                    return grant.access_token

                relay = RelayClient(
                    outbound,
                    relay_url=node.relay,
                    client_id="doorward-cli",
                    account_token=token,
                    clock=system_clock,
                )
                (machine,) = await relay.machines()
                return await relay.connect(machine, generate_key("ES256"), ClientMeta(label="Phone"))

            assert isinstance(await connect(), ConnectPending)
            rotated = command(
                "keys", "rotate", "mint", "--yes", "--json", "--config", str(node.config), home=home
            )
            assert json.loads(rotated.stdout) == {"kind": "mint", "kid": None, "count": 1}
            node.stop()
            node.start()
            with pytest.raises(ClientError):
                await connect()
            assert agent.stop() == 0
            start_agent()
            assert isinstance(await connect(), ConnectPending)
            assert agents[-1].stop() == 0
            await outbound.close()
            node.stop()
        logged = [line for agent in agents for line in agent.lines if '"logger"' in line]
        assert any("is linked to" in line for line in logged)
        kept = [path.read_bytes() for path in (home / "userdata" / "secrets").glob("*.bin")]
        secrets = [word for content in kept for word in re.findall(r"[\w-]{40,}", content.decode("latin-1"))]
        assert len(secrets) > 3
        assert [word for word in secrets if any(word in line for line in logged)] == []
    finally:
        for program in agents:
            if program.process.poll() is None:
                program.kill()

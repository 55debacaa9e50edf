"""A whole data folder, backed up while it runs and brought back: people, machine and devices go on as before."""

import asyncio
import re
from pathlib import Path

import pytest

from doorward.client.relay import RelayClient
from doorward.jose import PrivateKey, generate_key
from doorward.outbound import Outbound
from doorward.store import system_clock
from doorward.t3_connect.messages import ClientMeta, ConnectAuthorized, ConnectPending
from tests.e2e.accounts import Account
from tests.e2e.processes import Program, command
from tests.ports import free_ports

pytestmark = pytest.mark.anyio


class Up:
    """`doorward up` on one data folder. Another one on the same ports is the same server to everybody outside."""

    def __init__(self, home: Path, ports: list[int]) -> None:
        self.home = home
        port, environment_port = ports
        self.accounts = f"http://accounts.localhost:{port}"
        self.relay = f"http://relay.localhost:{port}"
        arguments = ["up", "--port", str(port), "--environment-port", str(environment_port)]
        self.program = Program(arguments, home=home)
        self.link = self.program.wait_for(r"(?:Create the first account|Sign in) +(\S+)").group(1)
        self.program.wait_for("Ctrl-C stops it")

    def mailed_code(self) -> str:
        return self.program.wait_for(r"code is (\d{6})").group(1)

    async def connect(
        self, outbound: Outbound, token: str, key: PrivateKey
    ) -> ConnectAuthorized | ConnectPending:
        async def account_token() -> str:
            return token

        relay = RelayClient(
            outbound,
            relay_url=self.relay,
            client_id="doorward-cli",
            account_token=account_token,
            clock=system_clock,
        )
        async with asyncio.timeout(40):
            machines = await relay.machines()
            while not (machines and machines[0].connected is True):
                machines = await relay.machines()
        return await relay.connect(machines[0], key, ClientMeta(label="Phone"))


async def test_a_session_a_link_and_an_approved_device_outlive_the_machine_they_were_on(
    tmp_path: Path,
) -> None:
    outbound, key, ports = Outbound(), generate_key("ES256"), free_ports(2)
    archive = tmp_path / "everything.backup"
    first = Up(tmp_path / "first", ports)
    try:
        account = Account(first.accounts, outbound)
        await account.sign_up(first.link, first.mailed_code)
        sessions = await account.sessions()
        token = (await account.grant()).access_token
        assert isinstance(await first.connect(outbound, token, key), ConnectPending)
        approved = command("connect", "security", "approve", key.public.thumbprint, home=first.home)
        assert approved.returncode == 0, approved.stderr
        assert isinstance(await first.connect(outbound, token, key), ConnectAuthorized)
        written = command("backup", str(archive), "--with-keys", "--home", str(first.home), home=first.home)
        assert written.returncode == 0, written.stderr
        assert first.program.stop() == 0
    finally:
        if first.program.process.poll() is None:
            first.program.kill()

    home = tmp_path / "second"
    restored = command("restore", str(archive), "--home", str(home), home=home)
    assert restored.returncode == 0, restored.stderr
    second = Up(home, ports)
    try:
        assert re.search("/sign-in", second.link), "there is an administrator already"
        assert await account.sessions() == sessions
        assert isinstance(await second.connect(outbound, token, key), ConnectAuthorized)
        assert isinstance(await second.connect(outbound, token, generate_key("ES256")), ConnectPending)
        await outbound.close()
        assert second.program.stop() == 0
    finally:
        if second.program.process.poll() is None:
            second.program.kill()

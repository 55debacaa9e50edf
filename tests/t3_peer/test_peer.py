"""Unmodified T3 Code programs against `doorward up --tls`: command line, server and client runtime.

T3_PEER=/path/to/a/checkout T3_PEER_NODE=/path/to/node24 make test ARGS="tests/t3_peer -n 0"

In the order of the file: they share one installation, and the last test undoes the link.
"""

import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from doorward.client.configuration import publishable_key_of
from doorward.outbound import Outbound
from tests.e2e.accounts import Account
from tests.e2e.conftest import end
from tests.e2e.installations import OneProcessOverTls
from tests.e2e.processes import command
from tests.ports import free_ports
from tests.system_parts import require_system_part
from tests.t3_peer.peer import Client, Peer, Running, client_of, missing

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("t3_peer")]

DEVICE = {"label": "Peer", "deviceType": "desktop", "os": "Linux"}


@dataclass
class World:
    installation: OneProcessOverTls
    account: Account
    session: str
    peer: Peer
    signed_in: str
    server: Running
    client: Client

    async def clerk_token(self) -> str:
        """A fresh one, as clerk-js gives the web application: each lives a minute."""
        return await self.account.token(self.session, "t3-relay")


@pytest.fixture(scope="module")
async def world(
    anyio_backend: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    """A Doorward, an account, and a T3 Code server linked to it, with a client somewhere else."""
    require_system_part("T3 Code", missing(), fails_in_ci=False)
    async with AsyncExitStack() as stack:
        installation = OneProcessOverTls(tmp_path_factory.mktemp("e", numbered=True), None)
        stack.callback(end, installation)
        installation.start()
        authority = installation.machine_home / "server" / "tls" / "authority.pem"
        outbound = Outbound(ca_file=authority)
        stack.push_async_callback(outbound.close)
        account = Account(installation.accounts, outbound)
        await account.sign_up(installation.administrator, installation.mailed_code)
        [session] = await account.sessions()

        home = tmp_path_factory.mktemp("t3", numbered=True)
        peer = Peer(
            Path(os.environ["T3_PEER"]),
            home,
            {
                "T3CODE_RELAY_URL": installation.relay,
                "T3CODE_CLERK_PUBLISHABLE_KEY": publishable_key_of(installation.accounts, development=True),
                "T3CODE_CLERK_CLI_OAUTH_CLIENT_ID": "doorward-cli",
                "T3CODE_CLOUDFLARED_PATH": str(Path(sys.executable).with_name("doorward-connector")),
                "NODE_EXTRA_CA_CERTS": str(authority),
            },
        )
        signed_in = await peer.sign_in(account)
        await peer.run("connect", "link")
        server = await stack.enter_async_context(peer.serving(free_ports(1)[0]))
        client = await stack.enter_async_context(client_of(peer, installation.relay))
        yield World(
            installation=installation,
            account=account,
            session=session,
            peer=peer,
            signed_in=signed_in,
            server=server,
            client=client,
        )


async def test_the_command_line_signs_in_and_the_server_links_and_opens_our_tunnel(world: World) -> None:
    assert "Signed in to T3 Connect." in world.signed_in
    await world.server.says("Relay client tunnel connection registered")
    status = await world.peer.json("connect", "status")
    assert (status["desired"], status["authenticated"], status["linked"]) == (True, True, True)
    assert status["relayUrl"] == world.installation.relay
    assert status["relayClient"]["source"] == "override"


async def test_the_client_runtime_finds_the_server_online_and_gets_a_session(world: World) -> None:
    environment_id = world.peer.environment_id
    listed = await world.client.ok("list", clerkToken=await world.clerk_token())
    assert environment_id in {entry["environmentId"] for entry in listed}
    status = await world.client.ok(
        "status", clerkToken=await world.clerk_token(), environmentId=environment_id
    )
    assert (status["status"], status["descriptor"]["environmentId"]) == ("online", environment_id)
    minted = await world.client.ok(
        "connect", clerkToken=await world.clerk_token(), environmentId=environment_id
    )
    assert minted["endpoint"]["providerKind"] == "cloudflare_tunnel"
    session = await world.client.ok("session", **minted)
    assert (session["tokenType"], session["expiresIn"] > 3500) == ("DPoP", True)
    assert session["environmentId"] == environment_id
    assert session["hasEditor"]


async def test_where_t3_code_knows_approvals_its_own_decide(world: World) -> None:
    help_text = await world.peer.run("connect", "--help")
    if "security" not in help_text:
        pytest.skip("this T3 Code has no approval of clients")
    await world.peer.run("connect", "security", "--mode", "client-approval")

    async def connect() -> Any:
        token = await world.clerk_token()
        return await world.client.ok(
            "connect", clerkToken=token, environmentId=world.peer.environment_id, client=DEVICE
        )

    pending = await connect()
    assert (pending["status"], pending["approvalStatus"]) == ("pending_approval", "pending")
    thumbprint = await world.client.ok("thumbprint")
    assert pending["clientProofKeyThumbprint"] == thumbprint
    await world.peer.run("connect", "security", "approve", thumbprint)
    minted = await connect()
    assert (await world.client.ok("session", **minted))["environmentId"] == world.peer.environment_id
    await world.peer.run("connect", "security", "reject", thumbprint)
    assert (await connect())["approvalStatus"] == "rejected"


async def test_the_client_runtime_waits_for_our_machine_and_then_reaches_it(world: World) -> None:
    ours = next(
        entry
        for entry in await world.client.ok("list", clerkToken=await world.clerk_token())
        if entry["environmentId"] != world.peer.environment_id
    )

    async def connect() -> dict[str, Any]:
        token = await world.clerk_token()
        return await world.client.ask(
            "connect", clerkToken=token, environmentId=ours["environmentId"], client=DEVICE
        )

    asked = await connect()
    if "ok" in asked:
        assert (asked["ok"]["status"], asked["ok"]["approvalStatus"]) == ("pending_approval", "pending")
    else:
        # A client that says nothing of itself was written before approvals and could not read that it has to wait.
        assert asked["failed"]["relayError"]["_tag"] == "RelayEnvironmentConnectNotAuthorizedError"
    home = world.installation.machine_home
    thumbprint = await world.client.ok("thumbprint")
    approved = command("connect", "security", "approve", thumbprint, home=home)
    assert approved.returncode == 0, approved.stderr
    assert "Approved" in approved.stdout
    minted = (await connect())["ok"]
    # `server.getConfig` of ours decodes with T3 Code's own schema: the client regards itself as connected.
    session = await world.client.ok("session", **minted)
    assert session["environmentId"] == ours["environmentId"]
    assert not session["hasEditor"]


async def test_unlinking_closes_the_tunnel_and_ends_the_relays_record(world: World) -> None:
    said = await world.peer.run("connect", "unlink")
    assert re.search("disabled locally", said), said
    assert "Revoked the relay-side environment record." in said
    listed = await world.client.ok("list", clerkToken=await world.clerk_token())
    assert world.peer.environment_id not in {entry["environmentId"] for entry in listed}

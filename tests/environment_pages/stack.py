"""Everything between a browser and a local service, for the pages that need it: accounts, relay, edge, agent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from playwright.async_api import Page

from doorward.environment.agent import Agent, running_agent
from doorward.environment.environment import Environment
from doorward.environment.settings import EnvironmentSettings, Service
from doorward.identity import Identity
from doorward.identity.mail import DevelopmentInbox
from doorward.identity.settings import IdentitySettings, RateLimit
from doorward.listening import bind_unix, serving
from doorward.relay import RelaySettings
from doorward.server.node import NodePlan, running_node
from doorward.store import system_clock
from tests.environment_gate.machine import Local, bound_socket, local_service
from tests.environment_gate.machine import serving as serving_local
from tests.identity_pages.world import AMPLE_LIMITS, PASSWORD, newest_code
from tests.push.services import PUSH_HOST, Services


@dataclass
class Stack:
    accounts: str
    service: str
    agent: Agent
    identity: Identity
    inbox: DevelopmentInbox
    local: Local
    administrator: str
    port: int

    @property
    def environment(self) -> Environment:
        return self.agent.environment

    async def newest_code(self, address: str) -> str:
        return await newest_code(self.identity, self.inbox, address)


ADDRESS = "ada@example.com"


async def sign_up(page: Page, stack: Stack, address: str = ADDRESS) -> None:
    """The first account, which owns this machine from then on."""
    is_first = address == ADDRESS
    await page.goto(stack.administrator if is_first else f"{stack.accounts}/sign-up")
    await page.get_by_label("E-mail address").fill(address)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await page.get_by_label("Code").wait_for()
    await page.get_by_label("Code").fill(await stack.newest_code(address))
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("heading", name="Machines").wait_for()
    if is_first:
        async with asyncio.timeout(15):
            while not all(s.public_url for s in stack.environment.services.published()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def sign_in(page: Page, address: str = ADDRESS) -> None:
    """On the sign-in page the gate led to; consent is given where it is asked for."""
    await page.get_by_label("E-mail address").fill(address)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await allow(page)


async def allow(page: Page) -> None:
    """Consent is asked for once per account and machine, and remembered."""
    button = page.get_by_role("button", name="Allow")
    back = page.locator('[data-gate][data-state]:not([data-state="signing-in"])')
    await button.or_(back).first.wait_for()
    if await button.count():
        await button.click()


def listening() -> socket.socket:
    made = bound_socket()
    made.listen(100)
    made.setblocking(False)
    return made


@asynccontextmanager
async def running_stack(
    folder: Path, *, remote_admin: bool = False, services: Services | None = None
) -> AsyncIterator[Stack]:
    """A person has signed up (`administrator` is their address) and this machine is linked to them.

    `services`: the push service that the relay may reach on this computer.
    """
    public, loopback, local_socket = listening(), listening(), listening()
    port = public.getsockname()[1]
    accounts, relay = f"http://accounts.localhost:{port}", f"http://relay.localhost:{port}"
    inbox = DevelopmentInbox(system_clock)
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - before anything is served
    control_path = folder / "c.sock"
    plan = NodePlan(
        roles=("identity", "relay", "edge"),
        database_url=f"sqlite:///{folder}/server.sqlite",
        key_file=folder / "kek",
        identity=IdentitySettings(
            origin=accounts,
            development=True,
            sign_up="open",
            relay_origin=relay,
            gate_zone=f"env.localhost:{port}",
            # One account signs in on more browsers here than a person would in five minutes.
            limits=msgspec.structs.replace(AMPLE_LIMITS, password_per_account=RateLimit(10_000, 1_000)),
        ),
        relay=RelaySettings(
            origin=relay,
            zone="env.localhost",
            endpoint_scheme="http",
            endpoint_port=port,
            edge_url=f"http://edge.env.localhost:{port}",
            accounts_issuer=accounts,
            jwks_url=f"{accounts}/.well-known/jwks.json",
        ),
        mailer=inbox,
        ca_file=services.authority.certificate_path if services else None,
        private_push_hosts=(PUSH_HOST,) if services else (),
        control_upstreams={
            f"accounts.localhost:{port}": control_path,
            f"relay.localhost:{port}": control_path,
        },
    )
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(running_node(plan))
        assert node.identity is not None
        assert node.edge is not None
        assert node.control is not None
        control = bind_unix(control_path)
        await stack.enter_async_context(serving(node.control, control))
        await node.edge.serve([public])
        local = Local(port=local_socket.getsockname()[1])
        await stack.enter_async_context(serving_local(local_service(local), bound=local_socket))
        settings = EnvironmentSettings(
            home=folder / "home",
            label="Study desk",
            relay_url=relay,
            accounts_origin=accounts,
            remote_admin=remote_admin,
            services=(Service(name="notes", port=local.port),),
        )
        agent = await stack.enter_async_context(running_agent(settings, listener=loopback))
        invitation = await node.identity.administrator_invitation()
        assert invitation is not None
        identity = node.identity

        async def link_to_the_first_account() -> None:
            async with node.database.subscribe("identity.administrator_created") as created:
                async for user_id in created:
                    if user_id:
                        await agent.link_with(await identity.issue_cli_grant(user_id))

        linking = asyncio.create_task(link_to_the_first_account())
        stack.callback(linking.cancel)
        yield Stack(
            accounts=accounts,
            service=f"http://notes.env.localhost:{port}/",
            agent=agent,
            identity=identity,
            inbox=inbox,
            local=local,
            administrator=invitation,
            port=port,
        )

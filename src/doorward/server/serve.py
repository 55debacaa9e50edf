"""`doorward serve`: one node of a production installation, from doorward.toml."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from doorward.identity.mail import ConsoleMailer, Mailer, SmtpMailer
from doorward.identity.settings import IdentitySettings
from doorward.listening import bind, serving
from doorward.outbound import CertificateRefused, tls_context
from doorward.relay import AccountsWebhook, ClerkCloud, CloudflareSettings, RelaySettings
from doorward.server.background import background
from doorward.server.configuration import (
    CloudflareSection,
    ConfigurationInvalid,
    MailSection,
    ServeConfiguration,
    read_text,
    split_address,
)
from doorward.server.dotenv import set_variable
from doorward.server.node import Node, NodePlan, running_node
from doorward.server.push import push_settings
from doorward.server.stages import PRODUCTION, prepare_stage
from doorward.server.supervision import tell_supervisor
from doorward.tunnel import Drain
from doorward.webhook_signing import key_of

if TYPE_CHECKING:
    from doorward.server.env_file import EnvFilePlan

Say = Callable[[str], None]


def plan_of(configuration: ServeConfiguration, clerk: ClerkCloud | None = None) -> NodePlan:
    """What the configuration means, with the defaults that follow from it. `clerk`: accounts are at Clerk's cloud."""
    identity = configuration.identity
    return NodePlan(
        roles=configuration.roles,
        database_url=configuration.database_url,
        key_file=configuration.data / "key-encryption.key",
        identity=IdentitySettings(
            origin=identity.origin,
            development=False,
            sign_up=identity.sign_up,
            relay_origin=configuration.relay.origin,
            gate_zone=configuration.relay.zone,
            webhook_private_hosts=configuration.webhooks.private_hosts,
        ),
        relay=_relay_settings(configuration, clerk),
        mailer=_mailer(configuration.mail),
        ca_file=_authorities(configuration.ca_file),
        private_push_hosts=configuration.push.private_hosts,
        is_measured=configuration.admin is not None,
        trusted_proxies=configuration.listen.trusted_proxies,
        allowances=configuration.edge.limits,
        edge_nodes=configuration.edge.nodes,
    )


def _relay_settings(configuration: ServeConfiguration, clerk: ClerkCloud | None) -> RelaySettings:
    relay = configuration.relay
    edge = urlsplit(configuration.edge.url)
    zone_host, _, zone_port = relay.zone.partition(":")
    return RelaySettings(
        origin=relay.origin,
        stage=relay.stage,
        zone=zone_host,
        endpoint_scheme="http" if edge.scheme == "http" else "https",
        endpoint_port=int(zone_port) if zone_port else None,
        edge_url=configuration.edge.url,
        accounts_issuer=configuration.identity.origin,
        jwks_url=configuration.jwks_url,
        provider=relay.provider,
        cloudflare=_cloudflare(relay.cloudflare),
        endpoint_addresses=relay.endpoint_addresses
        or ("public" if relay.provider == "cloudflare" else "any"),
        max_tunnels=relay.max_tunnels,
        strict_base=relay.strict_base,
        t3_relay=relay.t3_relay,
        request_deadline=relay.request_deadline,
        environment_timeout=relay.environment_timeout,
        jwt_audience=relay.jwt_audience,
        oauth_client_ids=relay.oauth_client_ids,
        rate_limits=relay.rate_limits,
        custom_hosts=relay.custom_hosts,
        clerk=clerk,
        accounts_webhook=_accounts_webhook(
            _secret("relay.accounts_webhook_secret_file", relay.accounts_webhook_secret_file)
            or (clerk.webhook_secret if clerk else None)
        ),
        **push_settings(configuration.push),
    )


def _mailer(mail: MailSection | None) -> Mailer:
    if mail is None:
        return ConsoleMailer()
    return SmtpMailer(
        host=mail.host,
        port=mail.port,
        sender=mail.sender,
        username=mail.username,
        password=_secret("mail.password_file", mail.password_file),
        tls=mail.tls,
    )


@contextlib.asynccontextmanager
async def running_server(
    configuration: ServeConfiguration,
    clerk: ClerkCloud | None = None,
    *,
    hurry: asyncio.Event | None = None,
) -> AsyncIterator[Node]:
    """The node and its listeners. Health is told from before the node starts until after its last exchange ended.

    At the end machines and visitors go over to other nodes, within what `[edge]` grants; `hurry` cuts that short.
    """
    _make_data_folder(configuration.data)
    async with contextlib.AsyncExitStack() as stack:
        context = await _tls(configuration, stack)
        # Sockets first: a taken port is told before a database is opened or a key made.
        control = edge = None
        if set(configuration.roles) & {"identity", "relay"}:
            control = bind(*split_address(configuration.listen.control), option="listen.control")
            stack.callback(control.close)
        if "edge" in configuration.roles:
            edge = bind(*split_address(configuration.listen.edge), option="listen.edge")
            stack.callback(edge.close)
        admin = None
        if configuration.admin is not None:
            # Prometheus's library is imported for who wants it.
            from doorward.server.admin import NodeSubject, admin_listener

            admin = await stack.enter_async_context(
                admin_listener(configuration.admin.listen, configuration.roles)
            )
        node = await stack.enter_async_context(running_node(plan_of(configuration, clerk)))
        if control is not None and node.control is not None:
            await stack.enter_async_context(
                serving(
                    node.control,
                    control,
                    trusted_proxies=configuration.listen.trusted_proxies,
                    tls=context,
                    with_websockets=False,
                )
            )
        if edge is not None and node.edge is not None:
            await node.edge.serve([edge], ssl=context)
        if admin is not None:
            admin.runs(NodeSubject(node))
        try:
            yield node
        finally:
            if admin is not None:
                admin.is_stopping = True
            if node.edge is not None:
                await _unless(hurry, node.edge.drain(drain_of(configuration)))


def drain_of(configuration: ServeConfiguration) -> Drain:
    """How this node's edge leaves."""
    edge = configuration.edge
    return Drain(
        notice=edge.notice_seconds,
        grace=edge.drain_seconds,
        jitter=min(10.0, edge.drain_seconds / 3),
        spread=min(20.0, edge.drain_seconds * 2 / 3),
        is_alone=edge.nodes == 1,
        alternates=edge.alternates,
    )


async def _unless(hurry: asyncio.Event | None, work: Coroutine[Any, Any, None]) -> None:
    """Do `work` to its end, or until `hurry` is set."""
    working = asyncio.ensure_future(work)
    hurrying = asyncio.ensure_future((hurry or asyncio.Event()).wait())
    await asyncio.wait((working, hurrying), return_when=asyncio.FIRST_COMPLETED)
    for task in (working, hurrying):
        task.cancel()
    await asyncio.gather(working, hurrying, return_exceptions=True)


async def serve(
    configuration: ServeConfiguration,
    *,
    say: Say,
    clerk: ClerkCloud | None = None,
    relay_url_file: Path | None = None,
) -> None:
    """Run until SIGINT or SIGTERM; a second one ends at once what the first let end by itself.

    Once it runs, `relay_url_file` (an .env file of T3's clients) names the relay.
    """
    stopped, hurry = stop_signal(), asyncio.Event()
    async with running_server(configuration, clerk, hurry=hurry) as node:
        if relay_url_file is not None:
            set_variable(relay_url_file, "T3CODE_RELAY_URL", configuration.relay.origin)
            say(f"T3CODE_RELAY_URL={configuration.relay.origin} is written to {relay_url_file}.")
        tell_supervisor("READY=1")
        say(f"Doorward serves {', '.join(configuration.roles)}. Ctrl-C stops it.")
        if node.identity is not None and (link := await node.identity.administrator_invitation()):
            say(f"No administrator yet. Create the first account with this link, once:\n  {link}")
        await stopped.wait()
        tell_supervisor("STOPPING=1")
        say("Stopping. Again to stop at once.")
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, hurry.set)


async def serve_stage(plan: EnvFilePlan, *, say: Say, relay_url_file: Path | None = None) -> None:
    """`serve`, for a stage of an env file: production, or one that may only stand beside it. Raises ProductionMissing."""
    stage = plan.configuration.relay.stage
    await asyncio.to_thread(prepare_stage, stage, production_url=plan.production_url)
    if stage != PRODUCTION:
        say(f"Stage {stage}: {plan.configuration.relay.origin}, with data of its own.")
    await serve(plan.configuration, say=say, clerk=plan.clerk, relay_url_file=relay_url_file)


def stop_signal() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set, from now on: ask for it before saying that anything runs."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    return stopped


def _cloudflare(section: CloudflareSection | None) -> CloudflareSettings | None:
    if section is None:
        return None
    return CloudflareSettings(
        account_id=section.account_id,
        zone_id=section.zone_id,
        api_token=_secret("relay.cloudflare.api_token_file", section.api_token_file) or "",
        cleanup=section.cleanup,
    )


def _accounts_webhook(secret: str | None) -> AccountsWebhook | None:
    if secret is None:
        return None
    try:
        key_of(secret)
    except ValueError as error:
        raise ConfigurationInvalid(
            "The secret of the accounts' webhook (relay.accounts_webhook_secret_file, CLERK_WEBHOOK_SIGNING_SECRET) cannot be"
            f" used: {error}."
        ) from error
    return AccountsWebhook(secret=secret)


def _make_data_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationInvalid(
            f"Cannot make the data folder {folder} ({error.strerror}). Name another with `data` (DOORWARD_DATA in an env "
            "file), or make it for the user that runs Doorward."
        ) from error


def _authorities(path: Path | None) -> Path | None:
    """The file, read once: else a node would start and then refuse everybody, since it trusts no server it asks."""
    if path is not None:
        try:
            tls_context(path)
        except CertificateRefused as error:
            raise ConfigurationInvalid(f"ca_file: {error}") from error
    return path


def _secret(key: str, path: Path | None) -> str | None:
    return None if path is None else read_text(path, key=key).strip()


async def _tls(configuration: ServeConfiguration, stack: contextlib.AsyncExitStack) -> ssl.SSLContext | None:
    """The context of every public listener; its certificates follow their files until the stack ends."""
    tls = configuration.tls
    if tls is None:
        # A service manager's "reload" finds nothing to read anew here; by default the signal would end us.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
        return None
    from doorward.server.certificates import CertificateUnusable, ServerCertificates

    try:
        certificates = ServerCertificates((tls, *tls.more))
    except CertificateUnusable as error:
        raise ConfigurationInvalid(f"tls: {error}") from error
    await stack.enter_async_context(background(certificates.watch()))
    return certificates.context

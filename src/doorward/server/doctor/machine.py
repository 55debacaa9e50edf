"""A machine: its data folder, its agent, its link, and whether visitors find it through the edge."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from doorward import __version__
from doorward.client.configuration import PublicConfiguration, has_machine, load_configuration
from doorward.client.errors import ConfigurationMissing
from doorward.environment.keys import Keys, SecretStore, SecretStoreFailed, names
from doorward.environment.local import LocalMachine, Status, VerbFailed, open_machine
from doorward.outbound import Outbound
from doorward.server.doctor import network
from doorward.server.doctor.findings import Finding, ok, problem, warning

_OFFLINE = frozenset((502, 503, 504))
#: By the hop where the way through the tunnel ends.
_TUNNEL_MENDS = {
    "superseded": "Another computer runs with a copy of this data folder: stop one of the two.",
    "name_unknown": "Check this machine's resolver, and on the server the DNS record of the edge's name.",
    "unreachable": "Check this machine's network and proxy (HTTPS_PROXY), and that the edge runs.",
    "proxy_refused": "Check HTTPS_PROXY and its password, and let the proxy pass CONNECT to the edge.",
    "no_tunnel_here": "Check that the edge's front passes upgrades to it (docs/operations.md).",
    "tls_untrusted": "Give the edge a certificate of an authority people trust, or name its own in DOORWARD_CA_FILE.",
    "tls_intercepted": "Ask who runs this network to leave the edge's TLS alone, or use another network. If the edge itself"
    " has a new key, ask its operator for the pin and add it to DOORWARD_EDGE_PINS.",
    "unproved": "Ask again in a few seconds.",
    "tunnel_silent": "Look whether the agent is stopped or the machine overloaded; the agent's log says more.",
    "gate_failing": "The agent's log says why, as a rule a full disk or a database it cannot read.",
    "service_failing": "Start the local program that the tunnel leads to.",
}


async def examine_machine(home: Path) -> AsyncIterator[Finding]:
    """Every finding about the machine, in the order to mend them."""
    yield ok("version", f"Doorward {__version__}.")
    try:
        configuration = load_configuration(home)
    except ConfigurationMissing as error:
        yield problem(
            "configuration",
            str(error),
            why="The machine knows no server.",
            mend="See the sentence above.",
        )
        return
    for finding in _folder(home):
        yield finding
    outbound = Outbound(ca_file=Path(configuration.ca_file) if configuration.ca_file else None)
    try:
        reachable = True
        for check, origin in (
            ("relay", configuration.relay_url),
            ("accounts", configuration.accounts_origin),
        ):
            async for finding in _server(check, origin, configuration, outbound):
                reachable = reachable and finding.level != "problem"
                yield finding
        if not has_machine(home):
            # Looking must not make one: a machine has an identity from its first moment on.
            yield problem(
                "sign_in",
                f"Nobody is signed in here: {home} holds no machine yet.",
                why="Nothing reaches this machine.",
                mend="Run doorward connect login, or name another folder with --home.",
            )
            return
        async with open_machine(
            home,
            relay_url=configuration.relay_url,
            accounts_origin=configuration.accounts_origin,
            ca_file=Path(configuration.ca_file) if configuration.ca_file else None,
        ) as machine:
            async for finding in _machine(machine, outbound, is_server_reachable=reachable):
                yield finding
    finally:
        await outbound.close()


def _folder(home: Path) -> list[Finding]:
    secrets = home / "userdata" / "secrets"
    loose = [
        path.name
        for path in (secrets.glob("*.bin") if secrets.is_dir() else ())
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if loose:
        return [
            problem(
                "secrets",
                f"Other users of this machine can read {', '.join(sorted(loose))} in {secrets}.",
                why="Whoever reads the link key can pose as this machine.",
                mend=f"chmod 600 {secrets}/*; unlink and link again if somebody may have read them.",
            )
        ]
    return [ok("secrets", f"The secrets in {secrets} are this user's alone."), *_link_key(secrets)]


def _link_key(folder: Path) -> list[Finding]:
    """The key this machine signs with, where there is one: looking makes none."""
    secrets = SecretStore(folder)
    try:
        if secrets.get(names.LINK_KEY_PAIR) is None:
            return []
        Keys(secrets).link_key()
    except SecretStoreFailed as error:
        return [
            problem(
                "link_key",
                str(error),
                why="The relay believes no answer of this machine: nobody can connect, and no link can be made.",
                mend="Run this as the user to whom the folder belongs, or give it back to the one who runs the agent."
                if isinstance(error.__cause__, PermissionError)
                else "Bring the file back from a backup. Without one delete it, then doorward connect unlink and doorward"
                " connect link.",
            )
        ]
    return [ok("link_key", "The key this machine signs with can be used.")]


async def _server(
    check: str, origin: str, configuration: PublicConfiguration, outbound: Outbound
) -> AsyncIterator[Finding]:
    host = urlsplit(origin).hostname or ""
    name = await network.check_name(
        f"{check}_dns", host, mend="Check the address for a typing error, and this machine's resolver."
    )
    yield name
    if name.level != "ok":
        return
    path = "/health" if check == "relay" else "/.well-known/jwks.json"
    answer = await network.ask(outbound, origin + path)
    if isinstance(answer, str):
        yield problem(
            check,
            answer,
            why="This machine can neither be linked nor let anybody new in.",
            mend="Check this machine's network and proxy (HTTPS_PROXY), and on the server run doorward doctor.",
        )
        return
    if answer.status != 200:
        yield problem(
            check,
            f"{origin}{path} answers {answer.status}.",
            why="This machine can neither be linked nor let anybody new in.",
            mend="On the server run doorward doctor --config doorward.toml.",
        )
        return
    yield ok(check, f"{origin} answers.")
    if check == "relay" and (clock := network.check_clock("clock", "the relay", answer)):
        yield clock


async def _machine(
    machine: LocalMachine, outbound: Outbound, *, is_server_reachable: bool
) -> AsyncIterator[Finding]:
    try:
        status = await machine.status()
    except VerbFailed as error:
        yield problem(
            "state", str(error), why="The machine's own state cannot be read.", mend="See the sentence above."
        )
        return
    yield ok("state", f"The state of {status.environment_id} can be read.")
    if status.connect_security_mode is None:
        yield problem(
            "approval",
            "What is stored about who needs approval is not a mode.",
            why="Nobody new is let in.",
            mend="Choose anew: doorward connect security --mode client-approval.",
        )
    for check, is_well, what, mend in (
        ("sign_in", status.authenticated, "Nobody is signed in here.", "Run doorward connect login."),
        ("intent", status.desired, "This machine is not meant to be linked.", "Run doorward connect link."),
        (
            "agent",
            status.pid is not None,
            "No agent runs.",
            "Run doorward expose, or doorward expose --install-service once.",
        ),
        (
            "link",
            status.linked,
            f"This machine is not linked{f': {status.link_failure}' if status.link_failure else ''}.",
            "Mend what the sentence says; the agent tries again by itself.",
        ),
    ):
        if not is_well:
            yield problem(check, what, why="Nothing reaches this machine.", mend=mend)
            return
    if status.tunnel != "connected":
        yield problem(
            "tunnel",
            f"The tunnel is {status.tunnel or 'down'}{f': {status.tunnel_message}' if status.tunnel_message else ''}.",
            why="Visitors are told that this machine is offline.",
            mend=_TUNNEL_MENDS.get(
                status.tunnel_reason, "It tries again by itself; the agent's log says more."
            ),
        )
        return
    yield ok("tunnel", "The tunnel is connected.")
    if status.link_failure:
        yield warning(
            "link",
            f"The link could not be renewed: {status.link_failure}",
            why="It serves on as it is, but a service that was added since has no address.",
            mend="Mend what the sentence says; the agent tries again by itself.",
        )
    if is_server_reachable:
        async for finding in _through_the_edge(status, outbound):
            yield finding
    async for finding in _services(status, outbound):
        yield finding


class _Descriptor(msgspec.Struct, rename="camel"):
    environment_id: str = ""


async def _through_the_edge(status: Status, outbound: Outbound) -> AsyncIterator[Finding]:
    """This machine, as everybody else reaches it."""
    if status.api_origin is None:
        return
    url = f"{status.api_origin}/.well-known/t3/environment"
    answer = await network.ask(outbound, url)
    try:
        told = answer if isinstance(answer, str) else msgspec.json.decode(answer.body, type=_Descriptor)
    except msgspec.MsgspecError:
        told = _Descriptor()
    if isinstance(told, _Descriptor) and told.environment_id == status.environment_id:
        yield ok("edge", f"This machine answers at {status.api_origin}.")
        return
    yield problem(
        "edge",
        told
        if isinstance(told, str)
        else f"{url} is answered by something else{f' ({answer.status})' if not isinstance(answer, str) else ''}.",
        why="Visitors do not get here.",
        mend="Check that the wildcard record of the machines' zone leads to the edge, and its front; "
        "on the server run doorward doctor.",
    )


async def _services(status: Status, outbound: Outbound) -> AsyncIterator[Finding]:
    for service in status.services:
        check = f"service {service.name}"
        if service.refusal is not None or not service.origin:
            yield problem(
                check,
                f"{service.name} has no address. {service.problem or 'The relay was not asked yet.'}",
                why="Nobody can open it.",
                mend=f"doorward expose {service.port} --name NAME, and doorward expose --remove {service.name}."
                if service.refusal is not None
                else "Wait until the machine is linked; the findings above say what is in the way.",
            )
            continue
        if not await _is_listening(service.host, service.port):
            yield problem(
                check,
                f"Nothing listens on {service.host}:{service.port}.",
                why=f"Visitors of {service.name} see an error.",
                mend="Start the local program, or expose the port it listens on.",
            )
            continue
        answer = await network.ask(outbound, f"{service.origin}/", accept="text/html")
        if isinstance(answer, str) or answer.status in _OFFLINE:
            yield warning(
                check,
                f"{service.origin}/ answers {answer if isinstance(answer, str) else answer.status}.",
                why="Visitors do not get to it.",
                mend="Mend the findings above; then see the agent's log.",
            )
            continue
        yield ok(check, f"{service.origin}/ is guarded by this machine, and its program listens.")


async def _is_listening(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(network.CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True

"""The words of `doorward connect status`, `security clients` and `unlink`: T3's where T3 has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from doorward.cli.output import plain
from doorward.jose import key_phrase

if TYPE_CHECKING:
    from doorward.environment.local import Status, UnlinkReport
    from doorward.t3_connect.messages import ConnectClient


class RelayClient(msgspec.Struct, frozen=True, rename="camel"):
    """T3's word for the connector. Ours is built in, so it is always available."""

    status: str
    executable_path: str
    source: str
    version: str


class StatusAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """T3's seven members and no other, for programs written for T3's command."""

    desired: bool
    authenticated: bool
    linked: bool
    cloud_user_id: str | None
    relay_url: str | None
    connect_security_mode: str | None
    relay_client: RelayClient


class DetailedStatusAnswer(StatusAnswer, frozen=True, kw_only=True, rename="camel"):
    """And what only Doorward knows."""

    environment_id: str
    agent_pid: int | None
    tunnel: str | None
    tunnel_reason: str | None
    tunnel_message: str | None
    link_failure: str | None
    services: list[dict[str, object]]


def status_answer(status: Status, *, with_details: bool) -> StatusAnswer:
    """The status for programs."""
    answer = StatusAnswer(
        desired=status.desired,
        authenticated=status.authenticated,
        linked=status.linked,
        cloud_user_id=status.cloud_user_id,
        relay_url=status.relay_url,
        connect_security_mode=status.connect_security_mode,
        relay_client=_relay_client(),
    )
    if not with_details:
        return answer
    return DetailedStatusAnswer(
        **msgspec.structs.asdict(answer),
        environment_id=status.environment_id,
        agent_pid=status.pid,
        tunnel=status.tunnel,
        tunnel_reason=status.tunnel_reason or None,
        tunnel_message=status.tunnel_message or None,
        link_failure=status.link_failure,
        services=[
            {"name": service.name, "url": service.origin or None, "port": service.port}
            for service in status.services
        ],
    )


def status_text(status: Status) -> str:
    """The status for people."""
    if status.linked:
        link = "provisioned"
    elif status.desired and status.authenticated:
        link = "pending server startup"
    else:
        link = "not provisioned"
    approval = {"client-approval": "required", "account": "account-wide"}.get(
        status.connect_security_mode or "", "unreadable"
    )
    connector = _relay_client()
    lines = [
        "T3 Connect",
        f"  Exposure: {'enabled' if status.desired else 'disabled'}",
        f"  Authorization: {'stored credential' if status.authenticated else 'missing'}",
        f"  Environment link: {link}",
        f"  Client approval: {approval}",
        f"  Relay: {status.relay_url or 'not provisioned'}",
        "  Relay client: built in",
        f"    Path: {connector.executable_path}",
        f"    Version: {connector.version}",
        f"  Agent: {f'running (process {status.pid})' if status.pid else 'not running'}",
    ]
    if status.tunnel:
        lines.append(
            f"  Tunnel: {status.tunnel}{f' ({plain(status.tunnel_message)})' if status.tunnel_message else ''}"
        )
    lines += [
        f"  Service: {service.name}  {service.origin or plain(service.problem or 'no address yet')}"
        for service in status.services
    ]
    if status.link_failure:
        lines.append(f"  Last failure: {plain(status.link_failure)}")
    if next_step := _next_step(status):
        lines += ["", f"Next: {next_step}"]
    return "\n".join(lines)


def _next_step(status: Status) -> str | None:
    if not status.authenticated:
        return "Run `doorward connect link` to authorize and enable T3 Connect."
    if not status.desired:
        return "Run `doorward connect link` to enable T3 Connect."
    if not status.linked:
        return "Start `doorward expose` to provision the environment link and launch its managed tunnel."
    if status.pid is None:
        return "Start `doorward expose`: nothing reaches this machine while no agent runs."
    return None


def clients_text(clients: Sequence[ConnectClient]) -> str:
    """One row a device, and its key phrase below, for comparing."""
    if not clients:
        return "No T3 Connect clients are registered."
    lines = ["T3 Connect clients"]
    for client in clients:
        thumbprint = client.client_proof_key_thumbprint
        lines.append(f"  {thumbprint}  {client.status}  {label_of(client)} ({', '.join(details_of(client))})")
        lines.append(f"    {key_phrase(thumbprint)}")
    return "\n".join(lines)


def label_of(client: ConnectClient) -> str:
    """What a device calls itself, or the least that tells it from another."""
    return (
        _text(client.client.label)
        or _text(client.client.os)
        or f"client {client.client_proof_key_thumbprint[:12]}"
    )


def details_of(client: ConnectClient) -> list[str]:
    """What else a device says of itself, and when it came."""
    found = []
    if client.client.device_type != "unknown":
        found.append(str(client.client.device_type))
    if system := _text(client.client.os):
        found.append(system)
    if device := _text(client.device_id):
        found.append(f"device {device}")
    if client.last_seen_at:
        found.append(f"last seen {client.last_seen_at}")
    found.append(f"requested {client.requested_at}")
    return found


def _text(value: object) -> str:
    """A device's own word, fit for a terminal."""
    return plain(value) if isinstance(value, str) else ""


def unlink_texts(report: UnlinkReport, *, forget_sign_in: bool) -> tuple[list[str], list[str]]:
    """What goes to standard output and what to standard error."""
    said: list[str] = []
    warned: list[str] = []
    if report.live == "failed":
        warned.append(
            "T3 Connect is disabled, but the running server could not stop its tunnel.\n"
            "Restart that server to stop the connector."
        )
    else:
        said.append("T3 Connect is disabled locally.")
    if report.relay == "revoked":
        said.append("Revoked the relay-side environment record.")
    elif report.relay == "failed" and forget_sign_in:
        warned.append(
            "Could not revoke the relay-side environment record before signing out.\n"
            "The stored CLI authorization was still removed locally."
        )
    elif report.relay == "failed":
        warned.append(
            "Could not revoke the relay-side environment record yet.\n"
            "Run `doorward connect unlink` again when the relay is reachable."
        )
    if forget_sign_in:
        said.append("Signed out of T3 Connect locally.")
    return said, warned


def _relay_client() -> RelayClient:
    import sys

    from doorward import __version__

    return RelayClient(status="available", executable_path=sys.argv[0], source="managed", version=__version__)

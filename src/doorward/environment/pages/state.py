"""What the Connections page shows to one asker: gathered from the services, cut to what they may see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doorward.environment.access import Action, Actor, refusal
from doorward.environment.approvals import Client, SecurityModeUnreadable
from doorward.environment.audit import AuditPage, NamedEntry
from doorward.environment.pages.doors import Asker
from doorward.environment.pages.wire import (
    AuditAnswer,
    AuditView,
    ConnectionsState,
    DeviceView,
    LinkView,
    RelayClientView,
    Right,
    ServiceView,
    SessionView,
    TunnelState,
)
from doorward.environment.relay_client import Available, RelayClientProcess
from doorward.environment.relay_client.page_installation import STAGES
from doorward.environment.sessions import Session
from doorward.environment.sessions.service import Listed
from doorward.jose import key_phrase
from doorward.t3_connect.wire import known
from doorward.tunnel.connector import UNPROVED, Connector

if TYPE_CHECKING:
    from doorward.environment.environment import Environment

AUDIT_SHOWN = 10  # entries with every state
AUDIT_PAGE = 30  # older ones, when asked for

_ACTIONS: dict[Right, Action] = {
    "approve": Action.APPROVE_STANDARD,
    "approve-administrator": Action.APPROVE_ADMINISTRATOR,
    "reject": Action.REJECT,
    "revoke": Action.REVOKE,
    "require-approval": Action.REQUIRE_APPROVAL,
    "trust-account": Action.TRUST_ACCOUNT,
    "end-sessions": Action.END_SESSIONS,
    "link": Action.LINK,
    "unlink": Action.UNLINK,
}


def rights_of(actor: Actor, *, is_remote_admin_on: bool) -> list[Right]:
    """What this actor may press. An administrator device makes sense only where remote administration is on."""
    return [
        right
        for right, action in _ACTIONS.items()
        if refusal(actor, action) is None and (right != "approve-administrator" or is_remote_admin_on)
    ]


def may_see_audit(actor: Actor) -> bool:
    """Sessions, services, the link and who decided what are for the machine's own page."""
    return refusal(actor, Action.SEE_SESSIONS) is None and actor.door != "tunnel"


async def connections_state(environment: Environment, asker: Asker) -> ConnectionsState:
    """Raises NotAllowed when the asker may not even see devices."""
    actor = asker.actor
    devices = await environment.approvals.list(actor)
    addresses = await environment.approvals.addresses(actor)
    mode, mode_problem = None, None
    try:
        mode = environment.approvals.mode()
    except SecurityModeUnreadable as error:
        mode_problem = str(error)
    is_owner = may_see_audit(actor)
    return ConnectionsState(
        label=environment.label,
        is_reachable_by_design=_knows_a_relay(environment),
        rights=rights_of(actor, is_remote_admin_on=environment.settings.remote_admin),
        mode=mode,
        mode_problem=mode_problem,
        remote_administration=environment.settings.remote_admin,
        devices=[_device(client, addresses.get(client.thumbprint)) for client in devices],
        link=_link(environment, actor) if is_owner else None,
        services=await _services(environment) if is_owner else None,
        sessions=await _sessions(environment, asker, devices) if is_owner else None,
        audit=audit_answer(await environment.audit.page(size=AUDIT_SHOWN)) if is_owner else None,
    )


def _device(client: Client, address: str | None) -> DeviceView:
    return DeviceView(
        thumbprint=client.thumbprint,
        key_phrase=key_phrase(client.thumbprint),
        status=client.status,
        role=client.role,
        label=client.label,
        device_type=client.device_type,
        os=client.os,
        device_id=client.device_id,
        address=address,
        account=client.cloud_user_id,
        requested_at=client.requested_at,
        approved_at=client.approved_at,
        rejected_at=client.rejected_at,
        last_seen_at=client.last_seen_at,
    )


async def _sessions(environment: Environment, asker: Asker, devices: list[Client]) -> list[SessionView]:
    labels = {device.thumbprint: device.label for device in devices}
    return [
        _session(listed, asker.session, labels.get(listed.session.thumbprint or ""))
        for listed in await environment.sessions.list(asker.actor)
    ]


def _session(listed: Listed, current: Session, device_label: str | None) -> SessionView:
    session = listed.session
    client = session.client
    sniffed = " on ".join(part for part in (client.browser, client.os) if part)
    return SessionView(
        id=session.id,
        name=device_label or client.label or sniffed or "A program without a name",
        method=session.method,
        key_phrase=key_phrase(session.thumbprint) if session.thumbprint else None,
        is_administrator="access:write" in session.scopes,
        is_current=session.id == current.id,
        is_connected=listed.is_connected,
        issued_at=session.issued_at,
        expires_at=session.expires_at,
    )


def audit_answer(page: AuditPage) -> AuditAnswer:
    return AuditAnswer(entries=[_audit(named) for named in page.entries], has_older=page.has_older)


def _audit(named: NamedEntry) -> AuditView:
    entry = named.entry
    door, _, address = entry.came_from.partition(" ")
    is_about_a_device = entry.action.startswith("client.")
    return AuditView(
        id=named.id,
        happened_at=entry.happened_at,
        action=entry.action,
        object=entry.object,
        detail=entry.detail,
        door=door,
        address=address,
        by=named.actor_name,
        device=named.device_name,
        key_phrase=key_phrase(entry.object) if is_about_a_device else None,
    )


async def _services(environment: Environment) -> list[ServiceView]:
    published = environment.services.published()
    is_answering = await environment.liveness.of(published)
    return [
        ServiceView(
            name=service.name,
            url=service.public_url,
            local=f"{service.host}:{service.port}",
            is_answering=is_answering[service.name],
            problem=service.problem,
        )
        for service in published
    ]


def _knows_a_relay(environment: Environment) -> bool:
    """A relay by configuration, or one that a browser linked this machine to."""
    settings = environment.settings
    is_configured = settings.relay_url is not None and settings.accounts_origin is not None
    return is_configured or environment.link.relay_origin() is not None


def _link(environment: Environment, actor: Actor) -> LinkView | None:
    """None where there is nothing to link to."""
    if not _knows_a_relay(environment):
        return None
    stored = environment.link.state(actor)
    can_link = environment.tokens.is_stored()
    if not stored.linked:
        is_wanted = environment.link.is_wanted()
        return LinkView(
            state="linking" if is_wanted else "unlinked",
            address=None,
            account=None,
            problem=environment.reconciler.last_failure if is_wanted else None,
            can_link=can_link,
            relay_client=_relay_client(environment),
        )
    state, problem = _tunnel(environment)
    return LinkView(
        state=state,
        address=environment.link.api_origin(),
        account=stored.cloud_user_id,
        problem=problem,
        can_link=can_link,
    )


def _relay_client(environment: Environment) -> RelayClientView | None:
    installation, status = environment.installation, environment.relay_client.status()
    if not installation.is_running and not lacks_relay_client(environment):
        return None
    stage = installation.stage
    return RelayClientView(
        version=status.version,
        stage=stage,
        step=0 if stage is None else STAGES.index(stage) + 1,
        steps=len(STAGES),
        failure=installation.failure,
    )


def lacks_relay_client(environment: Environment) -> bool:
    """The relay takes cloudflared, as far as it was asked at sign-in, and there is none."""
    relay_url = environment.settings.relay_url
    return (
        relay_url is not None
        and environment.relay_client_need.remembered(relay_url)
        and not isinstance(environment.relay_client.status(), Available)
    )


def _tunnel(environment: Environment) -> tuple[TunnelState, str | None]:
    """What the connector says of itself; the supervisor's word when there is none."""
    status = environment.supervisor.status
    if status.status in ("failed", "unsupported"):
        return "refused", known(status.reason) or "This machine cannot run the tunnel it was given."
    connector = environment.supervisor.connector
    if not isinstance(connector, Connector | RelayClientProcess):
        return "connecting", None
    state = connector.state
    word: TunnelState = "connecting" if state.word == "stopped" else state.word
    return word, None if state.reason == UNPROVED else state.message or None

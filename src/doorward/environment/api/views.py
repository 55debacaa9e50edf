"""Our values as the bodies of the protocol."""

from typing import cast

from doorward.environment.approvals.rules import Client
from doorward.environment.pairing.rules import PairingLink
from doorward.environment.sessions.client_details import ClientDetails
from doorward.environment.sessions.store import Session
from doorward.t3_connect import iso, messages, unset_if_none
from doorward.t3_connect.messages import EnvironmentScope


def scopes(names: tuple[str, ...]) -> tuple[EnvironmentScope, ...]:
    return cast(tuple[EnvironmentScope, ...], names)


def client_metadata(client: ClientDetails) -> messages.ClientMetadata:
    return messages.ClientMetadata(
        label=unset_if_none(client.label),
        ip_address=unset_if_none(client.ip_address),
        user_agent=unset_if_none(client.user_agent),
        device_type=client.device_type,
        os=unset_if_none(client.os),
        browser=unset_if_none(client.browser),
    )


def pairing_link(link: PairingLink) -> messages.PairingLink:
    return messages.PairingLink(
        id=link.id,
        credential=link.credential,
        scopes=scopes(link.scopes),
        subject=link.subject,
        label=unset_if_none(link.label),
        created_at=iso(link.created_at),
        expires_at=iso(link.expires_at),
    )


def client_session(session: Session, *, is_connected: bool, current: str) -> messages.ClientSession:
    """`current` is the id of the session that looks."""
    return messages.ClientSession(
        session_id=session.id,
        subject=session.subject,
        scopes=scopes(session.scopes),
        method=session.method,
        client=client_metadata(session.client),
        issued_at=iso(session.issued_at),
        expires_at=iso(session.expires_at),
        last_connected_at=_iso(session.last_connected_at),
        connected=is_connected,
        current=session.id == current,
    )


def connect_client(client: Client) -> messages.ConnectClient:
    return messages.ConnectClient(
        client_proof_key_thumbprint=client.thumbprint,
        cloud_user_id=client.cloud_user_id,
        device_id=unset_if_none(client.device_id),
        status=client.status,
        role=client.role,
        client=client_metadata(
            ClientDetails(label=client.label, device_type=client.device_type, os=client.os)
        ),
        requested_at=iso(client.requested_at),
        updated_at=iso(client.updated_at),
        approved_at=_iso(client.approved_at),
        rejected_at=_iso(client.rejected_at),
        last_seen_at=_iso(client.last_seen_at),
    )


def _iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)

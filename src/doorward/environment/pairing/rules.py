"""What a pairing credential is, and why one is refused. Pure but for the system's random source."""

import secrets
import uuid
from typing import Literal

import msgspec

from doorward.environment.access import Role
from doorward.t3_connect.scopes import STANDARD_SCOPES

#: 32 symbols that are not mistaken for one another: no 0, 1, I, O.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CREDENTIAL_CHARACTERS = 12
#: 32 divides 256, so that a random byte is no more one symbol than another.
_SYMBOL_OF_BYTE = (ALPHABET * 8).encode()

PAIRING_LIFETIME_MS = 5 * 60_000
CONNECT_LIFETIME_MS = 2 * 60_000

SUBJECT_ONE_TIME = "one-time-token"
SUBJECT_CONNECT = "cloud-connect"
#: The owner's own way in: made by the machine, never shown in a list.
SUBJECT_BOOTSTRAP = "administrative-bootstrap"
CONNECT_LABEL = "T3 Connect connect"

RefusedBecause = Literal["unknown", "unavailable", "expired", "key_mismatch"]

MESSAGES: dict[RefusedBecause, str] = {
    "unknown": "Unknown bootstrap credential.",
    "unavailable": "Bootstrap credential is no longer available.",
    "expired": "Bootstrap credential expired.",
    "key_mismatch": "Bootstrap credential proof key mismatch.",
}


class PairingLink(msgspec.Struct, frozen=True, kw_only=True):
    """A credential and what it grants. Times in ms. Bound to one key when `thumbprint` is set."""

    id: str
    credential: str
    scopes: tuple[str, ...]
    subject: str
    role: Role = "standard"
    label: str | None = None
    cloud_user_id: str | None = None
    thumbprint: str | None = None
    created_at: int
    expires_at: int

    def __repr__(self) -> str:
        return f"PairingLink(id={self.id!r}, subject={self.subject!r})"

    @property
    def is_listed(self) -> bool:
        return self.subject != SUBJECT_BOOTSTRAP


class CredentialRefused(Exception):
    """The credential makes no session. `reason` is for logs: on the wire all reasons look the same."""

    code = "credential_refused"

    def __init__(self, reason: RefusedBecause) -> None:
        super().__init__(MESSAGES[reason])
        self.reason = reason


def new_credential() -> str:
    """12 symbols, each uniformly one of 32: 60 bits."""
    return secrets.token_bytes(CREDENTIAL_CHARACTERS).translate(_SYMBOL_OF_BYTE).decode()


def new_link(
    *,
    now: int,
    lifetime_ms: int = PAIRING_LIFETIME_MS,
    subject: str = SUBJECT_ONE_TIME,
    scopes: tuple[str, ...] = STANDARD_SCOPES,
    label: str | None = None,
    role: Role = "standard",
) -> PairingLink:
    return PairingLink(
        id=str(uuid.uuid4()),
        credential=new_credential(),
        scopes=scopes,
        subject=subject,
        role=role,
        label=label,
        created_at=now,
        expires_at=now + lifetime_ms,
    )


def connect_link(
    draft: PairingLink, *, thumbprint: str, cloud_user_id: str, role: Role, scopes: tuple[str, ...]
) -> PairingLink:
    """The credential a mint hands out: bound to the key, two minutes, its role's scopes."""
    return msgspec.structs.replace(
        draft,
        subject=SUBJECT_CONNECT,
        label=CONNECT_LABEL,
        thumbprint=thumbprint,
        cloud_user_id=cloud_user_id,
        role=role,
        scopes=scopes,
        expires_at=draft.created_at + CONNECT_LIFETIME_MS,
    )


def why_refused(
    *,
    is_known: bool,
    is_revoked: bool,
    is_consumed: bool,
    is_expired: bool,
    is_other_key: bool,
) -> RefusedBecause:
    """The first reason that applies, in the order of connect-environment §1.7."""
    if not is_known:
        return "unknown"
    if is_revoked:
        return "unavailable"
    if is_consumed:
        return "unknown"
    if is_expired:
        return "expired"
    return "key_mismatch" if is_other_key else "unavailable"

"""Every JSON body of the pages, both ways. Times are milliseconds since the epoch."""

from __future__ import annotations

from typing import Literal

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Members are camelCase on the wire."""


class GateService(Message, frozen=True, kw_only=True):
    name: str
    host: str  # as in the Host header, with a port that is not the scheme's own
    url: str


class GateConfiguration(Message, frozen=True, kw_only=True):
    """What the gate page needs before it can begin."""

    environment_id: str
    label: str
    client_id: str
    accounts_origin: str
    relay_origin: str
    services: list[GateService]
    remote_administration: bool


class CodeRequest(Message, frozen=True, kw_only=True):
    """`nonce` is base64url SHA-256 of the service host's nonce cookie; `return` a path there."""

    service: str
    nonce: str
    return_path: str = msgspec.field(default="/", name="return")


class CodeAnswer(Message, frozen=True, kw_only=True):
    """A single-use code of 30 s, and the address on the service host that spends it."""

    code: str
    callback: str


class WaitRequest(Message, frozen=True, kw_only=True):
    """`seen` is the status the page shows; the answer comes at once when it is another one."""

    seen: Literal["pending", "rejected"] = "pending"


Status = Literal["pending", "approved", "rejected", "unknown"]


class WaitAnswer(Message, frozen=True, kw_only=True):
    status: Status


class OpenRequest(Message, frozen=True, kw_only=True):
    """The one-time link's token."""

    token: str


class OpenAnswer(Message, frozen=True, kw_only=True):
    """The half of the session that the page keeps; the other half is its cookie."""

    page_key: str


Decision = Literal["approve", "approve-administrator", "reject", "revoke"]


class Keys(Message, frozen=True, kw_only=True):
    """A JWK Set (RFC 7517 §5): the public half of the link key."""

    keys: list[dict[str, str]]


class DecisionRequest(Message, frozen=True, kw_only=True):
    decision: Decision
    thumbprint: str


class ModeRequest(Message, frozen=True, kw_only=True):
    mode: Literal["account", "client-approval"]


class EndSessionRequest(Message, frozen=True, kw_only=True):
    session_id: str


class NotificationKey(Message, frozen=True, kw_only=True):
    """The machine's VAPID key, as `pushManager.subscribe` takes it."""

    application_server_key: str


class PushKeys(Message, frozen=True, kw_only=True):
    p256dh: str
    auth: str


class SubscribeRequest(Message, frozen=True, kw_only=True):
    """`PushSubscription.toJSON()`."""

    endpoint: str
    keys: PushKeys


class UnsubscribeRequest(Message, frozen=True, kw_only=True):
    endpoint: str


class Done(Message, frozen=True, kw_only=True):
    ok: bool = True


TunnelState = Literal["connecting", "connected", "superseded", "refused"]


class RelayClientView(Message, frozen=True, kw_only=True):
    """cloudflared is missing and the relay takes it. `step` of `steps` while it is installed, else 0."""

    version: str
    stage: str | None
    step: int
    steps: int
    failure: str | None


class LinkView(Message, frozen=True, kw_only=True):
    """Whether the machine can be reached from outside, and what keeps it from that.

    `linking`: wanted, and not there yet. `can_link`: this machine is signed in to an account to be linked to.
    `relay_client` is what has to be installed first.
    """

    state: Literal["unlinked", "linking"] | TunnelState
    address: str | None
    account: str | None
    problem: str | None
    can_link: bool
    relay_client: RelayClientView | None = None


class UnlinkAnswer(Message, frozen=True, kw_only=True):
    """Undone here; `relay` is what became of the relay's record."""

    relay: Literal["revoked", "failed", "not_linked", "not_authenticated"]


class DeviceView(Message, frozen=True, kw_only=True):
    """One device's key. Label, type, system and id are the device's own words.

    `address` is where it was last heard from, as the edge saw it; None until it spoke to this machine itself.
    """

    thumbprint: str
    key_phrase: str
    status: Literal["pending", "approved", "rejected"]
    role: Literal["standard", "administrator"]
    label: str | None
    device_type: str
    os: str | None
    device_id: str | None
    address: str | None
    account: str
    requested_at: int
    approved_at: int | None
    rejected_at: int | None
    last_seen_at: int | None


class ServiceView(Message, frozen=True, kw_only=True):
    """`is_answering`: whether something listens at `local` at this moment."""

    name: str
    url: str | None
    local: str
    is_answering: bool
    problem: str | None


class SessionView(Message, frozen=True, kw_only=True):
    id: str
    name: str
    method: str
    key_phrase: str | None
    is_administrator: bool
    is_current: bool
    is_connected: bool
    issued_at: int
    expires_at: int


class AuditView(Message, frozen=True, kw_only=True):
    """One entry. `by` names the device or browser that acted, `device` the one it was about; None where unknown.

    `door` is one of the access table's; `key_phrase` belongs to the key that was decided about.
    """

    id: str
    happened_at: int
    action: str
    object: str
    detail: str
    door: str
    address: str
    by: str | None
    device: str | None
    key_phrase: str | None


class AuditAnswer(Message, frozen=True, kw_only=True):
    entries: list[AuditView]
    has_older: bool


Right = Literal[
    "approve",
    "approve-administrator",
    "reject",
    "revoke",
    "require-approval",
    "trust-account",
    "end-sessions",
    "link",
    "unlink",
]


class ConnectionsState(Message, frozen=True, kw_only=True):
    """All the Connections page shows. `mode` is None when it cannot be read: never shown as `account`.

    `rights` says which buttons there are; the machine decides again on every request. What a session may not see is None.
    `is_reachable_by_design` is False on a machine that knows no relay: nobody comes from outside, and nothing asks there.
    """

    label: str
    is_reachable_by_design: bool
    rights: list[Right]
    mode: Literal["account", "client-approval"] | None
    mode_problem: str | None
    remote_administration: bool
    devices: list[DeviceView]
    link: LinkView | None
    services: list[ServiceView] | None
    sessions: list[SessionView] | None
    audit: AuditAnswer | None

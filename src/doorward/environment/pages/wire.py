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


class LinkView(Message, frozen=True, kw_only=True):
    """Whether the machine can be reached from outside, and what to do when not."""

    state: Literal["unlinked"] | TunnelState
    address: str | None
    account: str | None
    problem: str | None


class DeviceView(Message, frozen=True, kw_only=True):
    """One device's key. Everything but thumbprint, phrase, account, status and times is the device's own word."""

    thumbprint: str
    key_phrase: str
    status: Literal["pending", "approved", "rejected"]
    role: Literal["standard", "administrator"]
    label: str | None
    device_type: str
    os: str | None
    device_id: str | None
    account: str
    requested_at: int
    approved_at: int | None
    rejected_at: int | None
    last_seen_at: int | None


class ServiceView(Message, frozen=True, kw_only=True):
    name: str
    url: str | None
    local: str
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
    happened_at: int
    actor: str
    came_from: str
    action: str
    object: str
    detail: str


Right = Literal[
    "approve",
    "approve-administrator",
    "reject",
    "revoke",
    "require-approval",
    "trust-account",
    "end-sessions",
]


class ConnectionsState(Message, frozen=True, kw_only=True):
    """All the Connections page shows. `mode` is None when it cannot be read: never shown as `account`.

    `rights` says which buttons there are; the machine decides again on every request. What a session may not see is None.
    """

    label: str
    rights: list[Right]
    mode: Literal["account", "client-approval"] | None
    mode_problem: str | None
    remote_administration: bool
    devices: list[DeviceView]
    link: LinkView | None
    services: list[ServiceView] | None
    sessions: list[SessionView] | None
    audit: list[AuditView] | None

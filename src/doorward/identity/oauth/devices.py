"""Device authorization (RFC 8628): a machine without a browser asks, a person elsewhere says yes.

The danger is remote phishing: someone sends you a code of *their* machine. The approving person is therefore shown what
asks, from where and since when, must be signed in, and can only guess a few codes a minute.
"""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from doorward.identity.audit import store as audit
from doorward.identity.errors import Problem, Refused
from doorward.identity.identifiers import new_secret
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.oauth import clients, rules
from doorward.identity.oauth.clients import OAuthClient
from doorward.identity.oauth.errors import OAuthError
from doorward.identity.restrictions.service import Restrictions
from doorward.identity.sessions.service import refuse_barred
from doorward.identity.sessions.signed_in import SignedIn
from doorward.identity.settings import IdentitySettings
from doorward.identity.visits import Visit
from doorward.store import Clock, Database, Tx

DEVICE_CODE_PURPOSE = "oauth-device-code"
USER_CODE_PURPOSE = "oauth-user-code"

DeviceStatus = Literal["pending", "approved", "denied", "redeemed"]

USER_CODE_UNKNOWN = Problem(
    404,
    "resource_not_found",
    "not found",
    "That code is not waiting for an answer. Check it, or start again on the other machine: codes last 10 minutes.",
    param="user_code",
)


class DeviceRecord(msgspec.Struct, frozen=True):
    device_code_hash: str
    user_code_hash: str
    client_id: str
    scope: str
    resource: str | None
    ip: str
    user_agent: str
    status: DeviceStatus
    user_id: str | None
    session_id: str | None
    authenticated_at: int | None
    interval_ms: int
    polled_at: int | None
    created_at: int
    expire_at: int

    def __repr__(self) -> str:
        return f"DeviceRecord({self.client_id}, {self.status})"


_COLUMNS = """device_code_hash, user_code_hash, client_id, scope, resource, ip, user_agent, status, user_id, session_id,
    authenticated_at, interval_ms, polled_at, created_at, expire_at"""


def insert(tx: Tx, device: DeviceRecord) -> bool:
    """False when the user code is taken by another waiting device."""
    changed = tx.execute(
        f"""
        INSERT INTO identity_oauth_devices ({_COLUMNS})
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
        """,
        (
            device.device_code_hash,
            device.user_code_hash,
            device.client_id,
            device.scope,
            device.resource,
            device.ip,
            device.user_agent,
            device.status,
            device.user_id,
            device.session_id,
            device.authenticated_at,
            device.interval_ms,
            device.polled_at,
            device.created_at,
            device.expire_at,
        ),
    )
    return changed == 1


def find_by_user_code(tx: Tx, user_code_hash: str) -> DeviceRecord | None:
    row = tx.fetch_one(
        f"SELECT {_COLUMNS} FROM identity_oauth_devices WHERE user_code_hash = ?", (user_code_hash,)
    )
    return None if row is None else DeviceRecord(*row)


def find_by_device_code(tx: Tx, device_code_hash: str) -> DeviceRecord | None:
    row = tx.fetch_one(
        f"SELECT {_COLUMNS} FROM identity_oauth_devices WHERE device_code_hash = ?", (device_code_hash,)
    )
    return None if row is None else DeviceRecord(*row)


def delete_expired(tx: Tx, now: int) -> int:
    """Kept an hour past their end, so that a late poll hears `expired_token` and not `invalid_grant`."""
    return tx.execute("DELETE FROM identity_oauth_devices WHERE expire_at <= ?", (now - 3_600_000,))


def poll(tx: Tx, device_code_hash: str, client_id: str, now: int) -> DeviceRecord | OAuthError:
    """One poll of the waiting machine (RFC 8628 §3.5). The approved record is handed out to one caller only."""
    device = find_by_device_code(tx, device_code_hash)
    if device is None or device.client_id != client_id or device.status == "redeemed":
        return OAuthError("invalid_grant", "The device code is not valid")
    if now >= device.expire_at:
        return OAuthError("expired_token", "The device code has expired; start again")
    if device.status == "denied":
        return OAuthError("access_denied", "The request was denied")
    if device.status == "approved":
        changed = tx.execute(
            """
            UPDATE identity_oauth_devices SET status = 'redeemed'
            WHERE device_code_hash = ? AND status = 'approved'
            """,
            (device_code_hash,),
        )
        return device if changed else OAuthError("invalid_grant", "The device code was used before")
    is_early = device.polled_at is not None and now - device.polled_at < device.interval_ms
    interval = device.interval_ms + (rules.DEVICE_INTERVAL_MS if is_early else 0)
    tx.execute(
        "UPDATE identity_oauth_devices SET polled_at = ?, interval_ms = ? WHERE device_code_hash = ?",
        (now, interval, device_code_hash),
    )
    if is_early:
        return OAuthError("slow_down", f"Poll every {interval // 1000} seconds")
    return OAuthError("authorization_pending", "Nobody has answered yet")


class DeviceAuthorization(msgspec.Struct, frozen=True):
    """RFC 8628 §3.2. Times in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int

    def __repr__(self) -> str:
        return f"DeviceAuthorization({self.user_code})"


class DeviceRequest(msgspec.Struct, frozen=True):
    """What the approving person must see."""

    client_name: str
    scopes: tuple[str, ...]
    ip: str
    user_agent: str
    requested_at: int
    expire_at: int


class Devices:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        keyed_hash: KeyedHash,
        restrictions: Restrictions,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hash = keyed_hash
        self._restrictions = restrictions

    async def start(
        self, client: OAuthClient, form: Mapping[str, str], *, ip: str, user_agent: str
    ) -> DeviceAuthorization:
        """Raises OAuthError, or Refused (429)."""
        await self._restrictions.spend("device", ip, self._settings.limits.device_per_ip)
        if clients.DEVICE_CODE not in client.grant_types:
            raise OAuthError("unauthorized_client", "The client may not use the device flow")
        scope = rules.parse_scope(form.get("scope"), client)
        if scope is None:
            raise OAuthError("invalid_scope", "The client may not request one of these scopes")
        if form.get("resource") is not None:
            raise OAuthError("invalid_target", "This client's tokens are not bound to a resource")
        now, device_code = self._clock(), new_secret()
        for _ in range(5):
            user_code = rules.new_user_code()
            record = DeviceRecord(
                device_code_hash=self._hash.of(DEVICE_CODE_PURPOSE, device_code),
                user_code_hash=self._user_code_hash(user_code),
                client_id=client.client_id,
                scope=" ".join(scope),
                resource=None,
                ip=ip,
                user_agent=user_agent,
                status="pending",
                user_id=None,
                session_id=None,
                authenticated_at=None,
                interval_ms=rules.DEVICE_INTERVAL_MS,
                polled_at=None,
                created_at=now,
                expire_at=now + rules.DEVICE_LIFETIME_MS,
            )
            if await self._insert(record):
                break
        else:
            raise OAuthError("temporarily_unavailable", "Too many devices are waiting; try again shortly")
        uri = f"{self._settings.origin}/device"
        return DeviceAuthorization(
            device_code=device_code,
            user_code=user_code,
            verification_uri=uri,
            verification_uri_complete=f"{uri}?user_code={user_code}",
            expires_in=rules.DEVICE_LIFETIME_MS // 1000,
            interval=rules.DEVICE_INTERVAL_MS // 1000,
        )

    async def _insert(self, record: DeviceRecord) -> bool:
        return await self._database.write(lambda tx: insert(tx, record))

    async def find(self, signed_in: SignedIn, visit: Visit, user_code: str) -> DeviceRequest:
        """Raises Refused: 404 for a code that does not wait, 429 for too many guesses."""
        code_hash, now = await self._looked_up(signed_in, visit, user_code), self._clock()

        def work(tx: Tx) -> DeviceRequest:
            device = self._waiting(tx, code_hash, now)
            client = clients.find(tx, device.client_id)
            if client is None:
                raise Refused(USER_CODE_UNKNOWN)
            return DeviceRequest(
                client.name,
                tuple(device.scope.split()),
                device.ip,
                device.user_agent,
                device.created_at,
                device.expire_at,
            )

        return await self._database.read(work)

    async def decide(self, signed_in: SignedIn, visit: Visit, user_code: str, *, approve: bool) -> None:
        """Yes or no, once. Raises Refused as `find` does."""
        code_hash, now = await self._looked_up(signed_in, visit, user_code), self._clock()
        refuse_barred(signed_in.user, now)

        def work(tx: Tx) -> None:
            device = self._waiting(tx, code_hash, now)
            tx.execute(
                """
                UPDATE identity_oauth_devices SET status = ?, user_id = ?, session_id = ?, authenticated_at = ?
                WHERE device_code_hash = ? AND status = 'pending'
                """,
                (
                    "approved" if approve else "denied",
                    signed_in.user_id,
                    signed_in.session.id,
                    signed_in.session.verified_at,
                    device.device_code_hash,
                ),
            )
            audit.record(
                tx,
                now=now,
                actor=signed_in.user_id,
                action="oauth.device_approved" if approve else "oauth.device_denied",
                object_id=device.client_id,
                detail=f"asked from {device.ip}",
            )

        await self._database.write(work)

    async def _looked_up(self, signed_in: SignedIn, visit: Visit, user_code: str) -> str:
        """The hash to look for, after paying for the guess."""
        limit = self._settings.limits.user_code_per_account
        await self._restrictions.spend("user-code", signed_in.user_id, limit)
        return self._user_code_hash(user_code)

    def _user_code_hash(self, user_code: str) -> str:
        letters = rules.normalise_user_code(user_code)
        if letters is None:
            raise Refused(USER_CODE_UNKNOWN)
        return self._hash.of(USER_CODE_PURPOSE, letters)

    def _waiting(self, tx: Tx, code_hash: str, now: int) -> DeviceRecord:
        device = find_by_user_code(tx, code_hash)
        if device is None or device.status != "pending" or now >= device.expire_at:
            raise Refused(USER_CODE_UNKNOWN)
        return device

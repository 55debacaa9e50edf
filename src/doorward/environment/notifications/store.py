"""SQL of subscriptions and notices. Times in milliseconds."""

import hashlib

import msgspec

from doorward.jose import b64url_encode
from doorward.push import Subscription
from doorward.store import Tx

CHANNEL = "environment.knocks"


class Subscriber(msgspec.Struct, frozen=True):
    """What a subscription was made with: exactly one of a session of the machine's page and a device's key."""

    session_id: str | None = None
    thumbprint: str | None = None


class Notice(msgspec.Struct, frozen=True):
    thumbprint: str
    requested_at: int


def hash_endpoint(endpoint: str) -> str:
    return b64url_encode(hashlib.sha256(endpoint.encode()).digest())


def subscribe(tx: Tx, subscription: Subscription, subscriber: Subscriber, *, now: int, most: int) -> bool:
    """Keep the subscription, or hand it to its newest subscriber; the oldest beyond `most` are dropped.

    False when this browser was subscribed already, by whomever.
    """
    is_known = tx.fetch_one(
        "SELECT 1 FROM environment_push_subscriptions WHERE endpoint_hash = ?",
        (hash_endpoint(subscription.endpoint),),
    )
    tx.execute(
        "INSERT INTO environment_push_subscriptions (endpoint_hash, subscription, session_id, thumbprint, created_at)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (endpoint_hash) DO UPDATE SET subscription = excluded.subscription,"
        " session_id = excluded.session_id, thumbprint = excluded.thumbprint, created_at = excluded.created_at",
        (
            hash_endpoint(subscription.endpoint),
            subscription.to_text(),
            subscriber.session_id,
            subscriber.thumbprint,
            now,
        ),
    )
    tx.execute(
        "DELETE FROM environment_push_subscriptions WHERE endpoint_hash IN (SELECT endpoint_hash"
        " FROM environment_push_subscriptions ORDER BY created_at DESC, endpoint_hash LIMIT 1000 OFFSET ?)",
        (most,),
    )
    return is_known is None


def unsubscribe(tx: Tx, endpoint: str) -> bool:
    return forget(tx, hash_endpoint(endpoint))


def forget(tx: Tx, endpoint_hash: str) -> bool:
    removed = tx.execute(
        "DELETE FROM environment_push_subscriptions WHERE endpoint_hash = ?", (endpoint_hash,)
    )
    return removed == 1


def recipients(tx: Tx, *, now: int, is_remote_admin_on: bool) -> list[tuple[str, str]]:
    """(endpoint hash, subscription) of every subscriber that could decide about a device at this moment.

    Asked at the time of sending, so that nobody hears of requests a moment longer than they may answer them.
    """
    rows = tx.fetch_all(
        "SELECT s.endpoint_hash, s.subscription FROM environment_push_subscriptions s WHERE EXISTS"
        " (SELECT 1 FROM auth_sessions a WHERE a.session_id = s.session_id AND a.jkt IS NULL"
        "  AND a.revoked_at IS NULL AND a.expires_at > ?)"
        " OR (? AND EXISTS (SELECT 1 FROM auth_connect_clients c"
        "  WHERE c.client_proof_key_thumbprint = s.thumbprint AND c.status = 'approved'"
        "  AND c.role = 'administrator' AND c.revoked_at IS NULL))"
        " ORDER BY s.created_at, s.endpoint_hash",
        (now, is_remote_admin_on),
    )
    return [(row[0], row[1]) for row in rows]


def note_request(tx: Tx, thumbprint: str, *, now: int) -> None:
    """A device began to wait. In the transaction that made it wait: neither is there without the other."""
    tx.execute(
        "INSERT INTO environment_knock_notices (thumbprint, requested_at, taken_at) VALUES (?, ?, NULL)"
        " ON CONFLICT (thumbprint, requested_at) DO NOTHING",
        (thumbprint, now),
    )
    tx.notify(CHANNEL, thumbprint)


def take_notice(tx: Tx, *, now: int) -> Notice | None:
    """The oldest notice nobody took, taken from now on: what takes it may fail, and then nobody is told twice."""
    row = tx.fetch_one(
        "SELECT thumbprint, requested_at FROM environment_knock_notices WHERE taken_at IS NULL"
        " ORDER BY requested_at, thumbprint LIMIT 1"
    )
    if row is None:
        return None
    notice = Notice(row[0], row[1])
    tx.execute(
        "UPDATE environment_knock_notices SET taken_at = ? WHERE thumbprint = ? AND requested_at = ?",
        (now, notice.thumbprint, notice.requested_at),
    )
    return notice


def count_taken(tx: Tx, *, since: int) -> int:
    row = tx.fetch_one("SELECT COUNT(*) FROM environment_knock_notices WHERE taken_at > ?", (since,))
    return 0 if row is None else int(row[0])


def prune(tx: Tx, *, before: int) -> None:
    tx.execute("DELETE FROM environment_knock_notices WHERE requested_at < ?", (before,))

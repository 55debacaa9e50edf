"""Webhooks: endpoints and their secrets, events, deliveries and the log of attempts."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Written as in 0001: times are BIGINT milliseconds since the epoch.
TABLES = (
    # No reference to the endpoint: an event that is queued while its endpoint is being deleted must not undo the change
    # it tells of.
    """
    CREATE TABLE identity_webhook_endpoints (
        id TEXT PRIMARY KEY,
        url TEXT NOT NULL,
        description TEXT NOT NULL,
        kinds TEXT NOT NULL,
        is_enabled BOOLEAN NOT NULL,
        disabled_because TEXT,
        failing_since BIGINT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE identity_webhook_secrets (
        id TEXT PRIMARY KEY,
        endpoint_id TEXT NOT NULL REFERENCES identity_webhook_endpoints(id) ON DELETE CASCADE,
        sealed BYTEA NOT NULL,
        created_at BIGINT NOT NULL,
        expire_at BIGINT
    )
    """,
    "CREATE INDEX identity_webhook_secrets_endpoint ON identity_webhook_secrets(endpoint_id)",
    """
    CREATE TABLE identity_webhook_events (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        data TEXT NOT NULL,
        client_ip TEXT NOT NULL,
        user_agent TEXT NOT NULL,
        created_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX identity_webhook_events_at ON identity_webhook_events(created_at)",
    """
    CREATE TABLE identity_webhook_deliveries (
        id TEXT PRIMARY KEY,
        event_id TEXT NOT NULL REFERENCES identity_webhook_events(id) ON DELETE CASCADE,
        endpoint_id TEXT NOT NULL,
        status TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        not_before BIGINT NOT NULL,
        lease TEXT,
        leased_until BIGINT,
        created_at BIGINT NOT NULL,
        finished_at BIGINT
    )
    """,
    "CREATE INDEX identity_webhook_deliveries_due ON identity_webhook_deliveries(not_before) WHERE status = 'pending'",
    "CREATE INDEX identity_webhook_deliveries_endpoint ON identity_webhook_deliveries(endpoint_id, created_at)",
    "CREATE INDEX identity_webhook_deliveries_event ON identity_webhook_deliveries(event_id)",
    """
    CREATE TABLE identity_webhook_attempts (
        id TEXT PRIMARY KEY,
        delivery_id TEXT NOT NULL REFERENCES identity_webhook_deliveries(id) ON DELETE CASCADE,
        at BIGINT NOT NULL,
        duration_ms INTEGER NOT NULL,
        status INTEGER,
        problem TEXT,
        body TEXT NOT NULL
    )
    """,
    "CREATE INDEX identity_webhook_attempts_delivery ON identity_webhook_attempts(delivery_id, at)",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)

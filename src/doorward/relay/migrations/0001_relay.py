"""The relay's tables: links, allocations, tunnel limits, credentials, names, devices, activity, deliveries, replay, rates,
keys, account standings, audit.

Column names follow the T3 Connect relay where it has the table; the CHECK constraints, which it lacks, make
an unknown value impossible to store, so that no reader ever has to guess what one means.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE relay_environment_links (
        user_id TEXT NOT NULL,
        environment_id TEXT NOT NULL,
        environment_label TEXT NOT NULL DEFAULT 'T3 Environment',
        environment_public_key TEXT NOT NULL,
        endpoint_http_base_url TEXT NOT NULL,
        endpoint_ws_base_url TEXT NOT NULL,
        endpoint_provider_kind TEXT NOT NULL
            CHECK (endpoint_provider_kind IN ('manual', 'cloudflare_tunnel', 't3_relay')),
        notifications_enabled BOOLEAN NOT NULL DEFAULT TRUE,
        live_activities_enabled BOOLEAN NOT NULL DEFAULT TRUE,
        managed_tunnels_enabled BOOLEAN NOT NULL DEFAULT FALSE,
        created_by_device_id TEXT,
        made_at BIGINT NOT NULL,
        made_from TEXT NOT NULL,
        revoked_at BIGINT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        PRIMARY KEY (user_id, environment_id)
    )
    """,
    "CREATE INDEX relay_environment_links_environment ON relay_environment_links (environment_id, revoked_at)",
    # `tunnel_id` and `hostname` outlive an unlink: the generation must never run backwards, or an edge that
    # fenced generation 7 would refuse the tunnel of a new link at generation 1.
    """
    CREATE TABLE relay_link_notices (
        notice_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL,
        environment_id TEXT NOT NULL,
        label TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('linked', 'renamed', 'rekeyed')),
        source TEXT NOT NULL,
        happened_at BIGINT NOT NULL,
        due_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX relay_link_notices_due ON relay_link_notices (due_at)",
    """
    CREATE TABLE relay_managed_endpoint_allocations (
        user_id TEXT NOT NULL,
        environment_id TEXT NOT NULL,
        hostname TEXT NOT NULL UNIQUE,
        tunnel_name TEXT NOT NULL UNIQUE,
        tunnel_id TEXT UNIQUE,
        dns_record_id TEXT,
        ready_at BIGINT,
        generation BIGINT NOT NULL DEFAULT 0 CHECK (generation >= 0),
        tunnel_public_key TEXT,
        origin TEXT,
        recovery_enabled_at BIGINT,
        recovery_environment_public_key TEXT,
        leased_until BIGINT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        PRIMARY KEY (user_id, environment_id)
    )
    """,
    """
    CREATE INDEX relay_managed_endpoint_allocations_environment
        ON relay_managed_endpoint_allocations (environment_id)
    """,
    # Outlives every connection and every link, for the same reason as the generation above.
    """
    CREATE TABLE relay_tunnel_claims (
        tunnel_id TEXT PRIMARY KEY,
        instance TEXT NOT NULL,
        epoch BIGINT NOT NULL CHECK (epoch > 0),
        claimed_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE relay_managed_tunnel_limits (
        user_id TEXT PRIMARY KEY,
        max_tunnels INTEGER NOT NULL CHECK (max_tunnels >= 0),
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE relay_environment_credentials (
        credential_id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL,
        environment_id TEXT NOT NULL,
        environment_public_key TEXT NOT NULL,
        credential_hash TEXT NOT NULL UNIQUE,
        revoked_at BIGINT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE INDEX relay_environment_credentials_key
        ON relay_environment_credentials (environment_id, environment_public_key, revoked_at)
    """,
    """
    CREATE TABLE relay_service_names (
        name TEXT PRIMARY KEY,
        user_id TEXT NOT NULL,
        environment_id TEXT NOT NULL,
        released_at BIGINT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX relay_service_names_environment ON relay_service_names (user_id, environment_id, released_at)",
    # `push_token` is whatever reaches the device: a token of Apple's or Google's, or a browser's subscription.
    """
    CREATE TABLE relay_mobile_devices (
        user_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        label TEXT NOT NULL DEFAULT 'iOS device',
        platform TEXT NOT NULL CHECK (platform IN ('ios', 'android', 'web')),
        ios_major_version INTEGER,
        android_api_level INTEGER,
        app_version TEXT,
        bundle_id TEXT,
        aps_environment TEXT CHECK (aps_environment IN ('sandbox', 'production')),
        push_token TEXT UNIQUE,
        push_to_start_token TEXT UNIQUE,
        preferences_json TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        PRIMARY KEY (user_id, device_id)
    )
    """,
    """
    CREATE TABLE relay_live_activities (
        user_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        activity_push_token TEXT UNIQUE,
        remote_start_queued_at BIGINT,
        remote_started_at BIGINT,
        ended_at BIGINT,
        last_aggregate_json TEXT,
        last_live_activity_delivery_at BIGINT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        PRIMARY KEY (user_id, device_id)
    )
    """,
    # `updated_at` is the environment's word, in its own spelling; `received_at` is ours.
    """
    CREATE TABLE relay_agent_activity_rows (
        environment_id TEXT NOT NULL,
        environment_public_key TEXT NOT NULL,
        thread_id TEXT NOT NULL,
        state_json TEXT NOT NULL,
        is_terminal BOOLEAN NOT NULL,
        updated_at TEXT NOT NULL,
        received_at BIGINT NOT NULL,
        PRIMARY KEY (environment_id, environment_public_key, thread_id)
    )
    """,
    "CREATE INDEX relay_agent_activity_rows_terminal ON relay_agent_activity_rows (is_terminal, received_at)",
    # The outbox of deliveries, and afterwards the record of what became of each: then `job`, which holds what was to
    # be shown and to whom, is empty.
    """
    CREATE TABLE relay_deliveries (
        id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        environment_id TEXT,
        thread_id TEXT,
        kind TEXT NOT NULL CHECK (kind IN ('live_activity_start', 'live_activity_update', 'live_activity_end',
            'push_notification')),
        job TEXT NOT NULL,
        token_suffix TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
        not_before BIGINT NOT NULL,
        lease TEXT,
        leased_until BIGINT,
        finished_at BIGINT,
        result TEXT CHECK (result IN ('sent', 'dead', 'refused', 'skipped', 'given_up')),
        status INTEGER,
        reason TEXT,
        message_id TEXT,
        created_at BIGINT NOT NULL,
        CHECK ((finished_at IS NULL) = (result IS NULL)),
        CHECK (finished_at IS NULL OR job = '')
    )
    """,
    "CREATE INDEX relay_deliveries_due ON relay_deliveries (finished_at, not_before)",
    """
    CREATE TABLE relay_dpop_proofs (
        thumbprint TEXT NOT NULL,
        jti TEXT NOT NULL,
        iat BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        PRIMARY KEY (thumbprint, jti)
    ) {in_key_order}
    """,
    "CREATE INDEX relay_dpop_proofs_expiry ON relay_dpop_proofs (expires_at)",
    """
    CREATE TABLE relay_rate_windows (
        subject TEXT NOT NULL,
        bucket TEXT NOT NULL,
        window_start BIGINT NOT NULL,
        requests INTEGER NOT NULL,
        PRIMARY KEY (subject, bucket, window_start)
    )
    """,
    "CREATE INDEX relay_rate_windows_start ON relay_rate_windows (window_start)",
    """
    CREATE TABLE relay_signing_keys (
        name TEXT PRIMARY KEY,
        sealed_private_key TEXT NOT NULL,
        created_at BIGINT NOT NULL
    )
    """,
    # `as_of` is the moment the accounts server speaks of, in its own milliseconds: what it tells comes in any order.
    """
    CREATE TABLE relay_account_standings (
        user_id TEXT PRIMARY KEY,
        is_barred BOOLEAN NOT NULL,
        as_of BIGINT NOT NULL,
        received_at BIGINT NOT NULL
    )
    """,
    """
    CREATE INDEX relay_account_standings_forgotten ON relay_account_standings (received_at) WHERE NOT is_barred
    """,
    """
    CREATE TABLE relay_audit (
        id TEXT PRIMARY KEY,
        at BIGINT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        object TEXT NOT NULL,
        source TEXT NOT NULL,
        trace_id TEXT NOT NULL,
        detail TEXT NOT NULL
    )
    """,
    "CREATE INDEX relay_audit_at ON relay_audit (at)",
)


def upgrade() -> None:
    # SQLite then keeps the rows in the primary key's own tree: one page to write where there were two.
    in_key_order = "WITHOUT ROWID" if op.get_bind().dialect.name == "sqlite" else ""
    for statement in TABLES:
        op.execute(statement.format(in_key_order=in_key_order))


def downgrade() -> None:
    raise NotImplementedError("Restore the backup taken before the upgrade: links cannot be un-made by SQL.")

"""The environment's tables: pairing credentials, sessions and their children, client keys, replay guards, services, push subscriptions, audit.

`auth_*` tables are named after the T3 server's. Times are integer milliseconds. The CHECK constraints make an
unknown or contradictory value impossible to store, so that no reader ever has to guess what one means.

Every mint writes to three of them, and waits for the disk until each page it touched is there: these carry no index that
only saves a look through a table of few rows.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE auth_pairing_links (
        id TEXT NOT NULL,
        credential TEXT NOT NULL PRIMARY KEY,
        method TEXT NOT NULL,
        scopes TEXT NOT NULL,
        subject TEXT NOT NULL,
        role TEXT NOT NULL DEFAULT 'standard' CHECK (role IN ('standard', 'administrator')),
        label TEXT,
        cloud_user_id TEXT,
        proof_key_thumbprint TEXT,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        consumed_at BIGINT,
        revoked_at BIGINT
    )
    """,
    """
    CREATE INDEX idx_auth_pairing_links_unused ON auth_pairing_links (proof_key_thumbprint, expires_at)
        WHERE revoked_at IS NULL AND consumed_at IS NULL
    """,
    """
    CREATE TABLE auth_sessions (
        session_id TEXT PRIMARY KEY,
        subject TEXT NOT NULL,
        scopes TEXT NOT NULL,
        method TEXT NOT NULL
            CHECK (method IN ('browser-session-cookie', 'bearer-access-token', 'dpop-access-token')),
        jkt TEXT,
        role TEXT NOT NULL DEFAULT 'standard' CHECK (role IN ('standard', 'administrator')),
        cloud_user_id TEXT,
        client_label TEXT,
        client_ip_address TEXT,
        client_user_agent TEXT,
        client_device_type TEXT NOT NULL DEFAULT 'unknown'
            CHECK (client_device_type IN ('desktop', 'mobile', 'tablet', 'bot', 'unknown')),
        client_os TEXT,
        client_browser TEXT,
        issued_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        last_connected_at BIGINT,
        revoked_at BIGINT,
        CHECK ((method = 'dpop-access-token') = (jkt IS NOT NULL))
    )
    """,
    "CREATE INDEX idx_auth_sessions_active ON auth_sessions (revoked_at, expires_at, issued_at)",
    "CREATE INDEX idx_auth_sessions_key ON auth_sessions (jkt)",
    """
    CREATE TABLE auth_connect_clients (
        client_proof_key_thumbprint TEXT PRIMARY KEY,
        cloud_user_id TEXT NOT NULL,
        device_id TEXT,
        status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected')),
        role TEXT NOT NULL DEFAULT 'standard' CHECK (role IN ('standard', 'administrator')),
        client_label TEXT,
        client_ip_address TEXT,
        client_user_agent TEXT,
        client_device_type TEXT NOT NULL DEFAULT 'unknown'
            CHECK (client_device_type IN ('desktop', 'mobile', 'tablet', 'bot', 'unknown')),
        client_os TEXT,
        client_browser TEXT,
        requested_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        approved_at BIGINT,
        rejected_at BIGINT,
        revoked_at BIGINT,
        last_seen_at BIGINT,
        CHECK ((status = 'approved') = (approved_at IS NOT NULL)),
        CHECK ((status = 'rejected') = (rejected_at IS NOT NULL)),
        CHECK (status = 'approved' OR last_seen_at IS NULL),
        CHECK (status = 'approved' OR role = 'standard')
    ) {in_key_order}
    """,
    """
    CREATE INDEX idx_auth_connect_clients_pending ON auth_connect_clients (cloud_user_id)
        WHERE status = 'pending' AND revoked_at IS NULL
    """,
    # One row per jti or nonce that was used: the primary key is what makes a second use impossible.
    """
    CREATE TABLE environment_replay_guards (
        name TEXT PRIMARY KEY,
        consumed_at BIGINT NOT NULL
    ) {in_key_order}
    """,
    """
    CREATE TABLE environment_gate_codes (
        code_hash TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        service_host TEXT NOT NULL,
        nonce_hash TEXT NOT NULL,
        expires_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX idx_environment_gate_codes_session ON environment_gate_codes (session_id)",
    """
    CREATE TABLE environment_service_sessions (
        cookie_hash TEXT PRIMARY KEY,
        session_id TEXT NOT NULL,
        service_host TEXT NOT NULL,
        expires_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX idx_environment_service_sessions_session ON environment_service_sessions (session_id)",
    """
    CREATE TABLE environment_services (
        name TEXT PRIMARY KEY,
        host TEXT NOT NULL,
        port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
        host_header TEXT NOT NULL CHECK (host_header IN ('public', 'local')),
        public_url TEXT,
        refusal TEXT,
        updated_at BIGINT NOT NULL
    )
    """,
    # Exactly one of the two is what the subscription was made with, and lives as long as.
    """
    CREATE TABLE environment_push_subscriptions (
        endpoint_hash TEXT PRIMARY KEY,
        subscription TEXT NOT NULL,
        session_id TEXT,
        thumbprint TEXT,
        created_at BIGINT NOT NULL,
        CHECK ((session_id IS NULL) <> (thumbprint IS NULL))
    )
    """,
    """
    CREATE TABLE environment_knock_notices (
        thumbprint TEXT NOT NULL,
        requested_at BIGINT NOT NULL,
        taken_at BIGINT,
        PRIMARY KEY (thumbprint, requested_at)
    )
    """,
    "CREATE INDEX idx_environment_knock_notices_taken ON environment_knock_notices (taken_at, requested_at)",
    """
    CREATE TABLE environment_audit (
        id TEXT PRIMARY KEY,
        happened_at BIGINT NOT NULL,
        actor TEXT NOT NULL,
        came_from TEXT NOT NULL,
        action TEXT NOT NULL,
        object TEXT NOT NULL,
        detail TEXT NOT NULL DEFAULT ''
    )
    """,
    "CREATE INDEX idx_environment_audit_time ON environment_audit (happened_at)",
)


def upgrade() -> None:
    # SQLite then keeps the rows in the primary key's own tree: one page to write where there were two.
    in_key_order = "WITHOUT ROWID" if op.get_bind().dialect.name == "sqlite" else ""
    for statement in STATEMENTS:
        op.execute(statement.format(in_key_order=in_key_order))

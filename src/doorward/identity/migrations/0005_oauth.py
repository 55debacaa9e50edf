"""OAuth clients, consents, grants, and what was given out under them."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Written as in 0001: times are BIGINT milliseconds since the epoch; a column named *_hash holds a keyed hash.
TABLES = (
    """
    CREATE TABLE identity_oauth_clients (
        client_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        secret_hash TEXT,
        redirect_uris TEXT NOT NULL,
        scopes TEXT NOT NULL,
        grant_types TEXT NOT NULL,
        resource_policy TEXT NOT NULL,
        access_token_lifetime INTEGER NOT NULL,
        has_opaque_tokens BOOLEAN NOT NULL,
        is_pkce_required BOOLEAN NOT NULL,
        is_consent_asked BOOLEAN NOT NULL,
        application_id TEXT UNIQUE,
        image_id TEXT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE identity_oauth_consents (
        user_id TEXT NOT NULL REFERENCES identity_users(id) ON DELETE CASCADE,
        client_id TEXT NOT NULL,
        resource TEXT NOT NULL,
        scope TEXT NOT NULL,
        granted_at BIGINT NOT NULL,
        PRIMARY KEY (user_id, client_id, resource)
    )
    """,
    """
    CREATE TABLE identity_oauth_grants (
        id TEXT PRIMARY KEY,
        client_id TEXT NOT NULL,
        user_id TEXT NOT NULL REFERENCES identity_users(id) ON DELETE CASCADE,
        session_id TEXT,
        scope TEXT NOT NULL,
        resource TEXT,
        authenticated_at BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        revoked_at BIGINT,
        revoked_because TEXT
    )
    """,
    "CREATE INDEX identity_oauth_grants_user ON identity_oauth_grants(user_id)",
    "CREATE INDEX identity_oauth_grants_client ON identity_oauth_grants(client_id)",
    """
    CREATE TABLE identity_oauth_codes (
        code_hash TEXT PRIMARY KEY,
        client_id TEXT NOT NULL,
        user_id TEXT NOT NULL REFERENCES identity_users(id) ON DELETE CASCADE,
        session_id TEXT NOT NULL,
        redirect_uri TEXT NOT NULL,
        scope TEXT NOT NULL,
        resource TEXT,
        code_challenge TEXT NOT NULL,
        nonce TEXT,
        authenticated_at BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        expire_at BIGINT NOT NULL,
        grant_id TEXT
    )
    """,
    """
    CREATE TABLE identity_oauth_refresh_tokens (
        token_hash TEXT PRIMARY KEY,
        grant_id TEXT NOT NULL REFERENCES identity_oauth_grants(id) ON DELETE CASCADE,
        created_at BIGINT NOT NULL,
        expire_at BIGINT NOT NULL,
        rotated_at BIGINT
    )
    """,
    "CREATE INDEX identity_oauth_refresh_tokens_grant ON identity_oauth_refresh_tokens(grant_id)",
    """
    CREATE TABLE identity_oauth_access_tokens (
        jti TEXT PRIMARY KEY,
        grant_id TEXT NOT NULL REFERENCES identity_oauth_grants(id) ON DELETE CASCADE,
        scope TEXT NOT NULL,
        token_hash TEXT UNIQUE,
        created_at BIGINT NOT NULL,
        expire_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX identity_oauth_access_tokens_grant ON identity_oauth_access_tokens(grant_id)",
    """
    CREATE TABLE identity_oauth_devices (
        device_code_hash TEXT PRIMARY KEY,
        user_code_hash TEXT NOT NULL UNIQUE,
        client_id TEXT NOT NULL,
        scope TEXT NOT NULL,
        resource TEXT,
        ip TEXT NOT NULL,
        user_agent TEXT NOT NULL,
        status TEXT NOT NULL,
        user_id TEXT,
        session_id TEXT,
        authenticated_at BIGINT,
        interval_ms BIGINT NOT NULL,
        polled_at BIGINT,
        created_at BIGINT NOT NULL,
        expire_at BIGINT NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)

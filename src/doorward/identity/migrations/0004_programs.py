"""What programs prove themselves by, and what signs tokens: keys, machines, M2M tokens, API keys, templates."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Written as in 0001: times are BIGINT milliseconds since the epoch; a column named *_hash holds a keyed hash.
TABLES = (
    """
    CREATE TABLE identity_secret_keys (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        key_hash TEXT NOT NULL UNIQUE,
        created_at BIGINT NOT NULL,
        revoked_at BIGINT
    )
    """,
    """
    CREATE TABLE identity_machines (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        default_token_ttl BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX identity_machines_created ON identity_machines(created_at)",
    # The current key of a machine has no end; replaced ones work until theirs.
    """
    CREATE TABLE identity_machine_keys (
        key_hash TEXT PRIMARY KEY,
        machine_id TEXT NOT NULL REFERENCES identity_machines(id) ON DELETE CASCADE,
        sealed_key BYTEA,
        created_at BIGINT NOT NULL,
        expire_at BIGINT
    )
    """,
    "CREATE UNIQUE INDEX identity_machine_keys_current ON identity_machine_keys(machine_id) WHERE expire_at IS NULL",
    "CREATE INDEX identity_machine_keys_machine ON identity_machine_keys(machine_id)",
    """
    CREATE TABLE identity_machine_scopes (
        from_machine_id TEXT NOT NULL REFERENCES identity_machines(id) ON DELETE CASCADE,
        to_machine_id TEXT NOT NULL REFERENCES identity_machines(id) ON DELETE CASCADE,
        created_at BIGINT NOT NULL,
        PRIMARY KEY (from_machine_id, to_machine_id)
    )
    """,
    "CREATE INDEX identity_machine_scopes_to ON identity_machine_scopes(to_machine_id)",
    """
    CREATE TABLE identity_m2m_tokens (
        id TEXT PRIMARY KEY,
        token_hash TEXT NOT NULL UNIQUE,
        machine_id TEXT NOT NULL REFERENCES identity_machines(id) ON DELETE CASCADE,
        scopes TEXT NOT NULL,
        claims TEXT NOT NULL,
        likeness TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        expire_at BIGINT NOT NULL,
        last_used_at BIGINT,
        revoked_at BIGINT,
        revocation_reason TEXT
    )
    """,
    "CREATE INDEX identity_m2m_tokens_machine ON identity_m2m_tokens(machine_id, likeness, expire_at)",
    "CREATE INDEX identity_m2m_tokens_expire ON identity_m2m_tokens(expire_at)",
    """
    CREATE TABLE identity_api_keys (
        id TEXT PRIMARY KEY,
        key_hash TEXT NOT NULL UNIQUE,
        sealed_secret BYTEA NOT NULL,
        type TEXT NOT NULL,
        subject TEXT NOT NULL,
        name TEXT NOT NULL,
        description TEXT,
        claims TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created_by TEXT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        expire_at BIGINT,
        last_used_at BIGINT,
        revoked_at BIGINT,
        revocation_reason TEXT
    )
    """,
    "CREATE INDEX identity_api_keys_subject ON identity_api_keys(subject, created_at)",
    """
    CREATE TABLE identity_signing_keys (
        kid TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        sealed_private_key BYTEA,
        public_jwk TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        activated_at BIGINT,
        retired_at BIGINT,
        publish_until BIGINT,
        longest_token_until BIGINT NOT NULL
    )
    """,
    # Exactly one key signs, and at most one waits, whatever two nodes do at the same moment.
    "CREATE UNIQUE INDEX identity_signing_keys_one_active ON identity_signing_keys(state) WHERE state = 'active'",
    "CREATE UNIQUE INDEX identity_signing_keys_one_next ON identity_signing_keys(state) WHERE state = 'next'",
    """
    CREATE TABLE identity_jwt_templates (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        claims TEXT NOT NULL,
        lifetime INTEGER NOT NULL,
        allowed_clock_skew INTEGER NOT NULL,
        signing_algorithm TEXT NOT NULL,
        sealed_signing_key BYTEA,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)

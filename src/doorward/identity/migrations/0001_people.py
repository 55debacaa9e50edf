"""Accounts and what they sign in with, invitations, restrictions, the instance's settings, limits and the audit trail."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Times are BIGINT milliseconds since the epoch; a column named *_hash holds a keyed hash in hexadecimal or an Argon2
# string, never the secret itself.
TABLES = (
    """
    CREATE TABLE identity_secrets (
        name TEXT PRIMARY KEY,
        sealed BYTEA NOT NULL,
        created_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE identity_users (
        id TEXT PRIMARY KEY,
        ordinal BIGINT NOT NULL UNIQUE,
        primary_email_address_id TEXT NOT NULL,
        primary_phone_number_id TEXT,
        external_id TEXT UNIQUE,
        username TEXT UNIQUE,
        password_hash TEXT,
        password_updated_at BIGINT,
        is_password_compromised BOOLEAN NOT NULL,
        first_name TEXT,
        last_name TEXT,
        locale TEXT,
        timezone TEXT,
        image_id TEXT,
        public_metadata TEXT NOT NULL,
        private_metadata TEXT NOT NULL,
        unsafe_metadata TEXT NOT NULL,
        is_administrator BOOLEAN NOT NULL,
        is_banned BOOLEAN NOT NULL,
        delete_self_enabled BOOLEAN NOT NULL,
        create_organization_enabled BOOLEAN NOT NULL,
        create_organizations_limit INTEGER,
        bypass_client_trust BOOLEAN NOT NULL,
        locked_until BIGINT,
        legal_accepted_at BIGINT,
        last_sign_in_at BIGINT,
        last_active_at BIGINT,
        search_text TEXT NOT NULL,
        primary_email TEXT,
        primary_phone TEXT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    "CREATE TABLE identity_user_counts (users BIGINT NOT NULL)",
    "CREATE INDEX identity_users_banned ON identity_users(ordinal) WHERE is_banned",
    "CREATE INDEX identity_users_administrators ON identity_users(ordinal) WHERE is_administrator",
    """
    CREATE TABLE identity_email_addresses (
        id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES identity_users(id) ON DELETE CASCADE,
        address TEXT NOT NULL,
        verified_at BIGINT,
        verified_by TEXT,
        is_reserved BOOLEAN NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    # Two accounts may both *claim* an address; only one can have proved it, or have it kept for them.
    """
    CREATE UNIQUE INDEX identity_email_addresses_owned ON identity_email_addresses(address)
        WHERE verified_at IS NOT NULL OR is_reserved
    """,
    "CREATE INDEX identity_email_addresses_address ON identity_email_addresses(address, id)",
    "CREATE INDEX identity_email_addresses_user ON identity_email_addresses(user_id)",
    """
    CREATE TABLE identity_phone_numbers (
        id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES identity_users(id) ON DELETE CASCADE,
        number TEXT NOT NULL,
        verified_at BIGINT,
        is_reserved BOOLEAN NOT NULL,
        is_second_factor BOOLEAN NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE UNIQUE INDEX identity_phone_numbers_owned ON identity_phone_numbers(number)
        WHERE verified_at IS NOT NULL OR is_reserved
    """,
    "CREATE INDEX identity_phone_numbers_number ON identity_phone_numbers(number)",
    "CREATE INDEX identity_phone_numbers_user ON identity_phone_numbers(user_id)",
    """
    CREATE TABLE identity_images (
        id TEXT PRIMARY KEY,
        media_type TEXT NOT NULL,
        content BYTEA NOT NULL,
        created_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE identity_clients (
        id TEXT PRIMARY KEY,
        token_hash TEXT NOT NULL,
        last_active_session_id TEXT,
        last_authentication_strategy TEXT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE identity_sessions (
        id TEXT PRIMARY KEY,
        client_id TEXT NOT NULL,
        user_id TEXT NOT NULL REFERENCES identity_users(id) ON DELETE CASCADE,
        status TEXT NOT NULL,
        actor TEXT,
        active_organization_id TEXT,
        verified_at BIGINT NOT NULL,
        last_active_at BIGINT NOT NULL,
        expire_at BIGINT NOT NULL,
        abandon_at BIGINT NOT NULL,
        ip TEXT NOT NULL,
        user_agent TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX identity_sessions_client ON identity_sessions(client_id)",
    "CREATE INDEX identity_sessions_user ON identity_sessions(user_id)",
    """
    CREATE INDEX identity_sessions_organization ON identity_sessions(active_organization_id)
        WHERE active_organization_id IS NOT NULL
    """,
    """
    CREATE TABLE identity_refresh_tokens (
        token_hash TEXT PRIMARY KEY,
        session_id TEXT NOT NULL REFERENCES identity_sessions(id) ON DELETE CASCADE,
        created_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX identity_refresh_tokens_session ON identity_refresh_tokens(session_id)",
    """
    CREATE TABLE identity_sign_ups (
        id TEXT PRIMARY KEY,
        client_id TEXT NOT NULL,
        email_address TEXT,
        password_hash TEXT,
        first_name TEXT,
        last_name TEXT,
        unsafe_metadata TEXT NOT NULL,
        invitation_id TEXT,
        email_verified_at BIGINT,
        created_user_id TEXT,
        created_session_id TEXT,
        created_at BIGINT NOT NULL,
        abandon_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX identity_sign_ups_client ON identity_sign_ups(client_id)",
    """
    CREATE TABLE identity_sign_ins (
        id TEXT PRIMARY KEY,
        client_id TEXT NOT NULL,
        identifier TEXT,
        user_id TEXT,
        email_address_id TEXT,
        first_factor TEXT,
        first_factor_at BIGINT,
        created_session_id TEXT,
        created_at BIGINT NOT NULL,
        abandon_at BIGINT NOT NULL
    )
    """,
    "CREATE INDEX identity_sign_ins_client ON identity_sign_ins(client_id)",
    """
    CREATE TABLE identity_verifications (
        subject_id TEXT PRIMARY KEY,
        strategy TEXT NOT NULL,
        code_hash TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        sent_at BIGINT NOT NULL,
        expire_at BIGINT NOT NULL,
        verified_at BIGINT
    )
    """,
    # Every one-time ticket that makes or joins something: the first administrator's, an application's, an organization's.
    """
    CREATE TABLE identity_invitations (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        email_address TEXT,
        token_hash TEXT NOT NULL UNIQUE,
        public_metadata TEXT NOT NULL,
        private_metadata TEXT NOT NULL,
        redirect_url TEXT,
        organization_id TEXT,
        role TEXT,
        inviter_id TEXT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        expire_at BIGINT NOT NULL,
        accepted_at BIGINT,
        accepted_by TEXT,
        revoked_at BIGINT
    )
    """,
    "CREATE INDEX identity_invitations_address ON identity_invitations(email_address)",
    "CREATE INDEX identity_invitations_organization ON identity_invitations(organization_id)",
    """
    CREATE TABLE identity_waitlist_entries (
        id TEXT PRIMARY KEY,
        email_address TEXT NOT NULL UNIQUE,
        status TEXT NOT NULL,
        invitation_id TEXT,
        invited_at BIGINT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    # One row: what an operator changes while the instance runs, as JSON.
    """
    CREATE TABLE identity_instance (
        name TEXT PRIMARY KEY CHECK (name = 'instance'),
        settings TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE identity_listed_identifiers (
        id TEXT PRIMARY KEY,
        list TEXT NOT NULL,
        identifier TEXT NOT NULL,
        identifier_type TEXT NOT NULL,
        invitation_id TEXT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        UNIQUE (list, identifier)
    )
    """,
    """
    CREATE TABLE identity_redirect_urls (
        id TEXT PRIMARY KEY,
        url TEXT NOT NULL UNIQUE,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE identity_tickets (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        user_id TEXT NOT NULL REFERENCES identity_users(id) ON DELETE CASCADE,
        actor TEXT,
        token_hash TEXT NOT NULL UNIQUE,
        session_lifetime_ms BIGINT,
        organization_id TEXT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        expire_at BIGINT NOT NULL,
        accepted_at BIGINT,
        revoked_at BIGINT
    )
    """,
    "CREATE INDEX identity_tickets_user ON identity_tickets(user_id)",
    """
    CREATE TABLE identity_rate_limits (
        key TEXT PRIMARY KEY,
        arrival_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE identity_failures (
        key TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,
        last_failure_at BIGINT NOT NULL,
        locked_until BIGINT
    )
    """,
    """
    CREATE TABLE identity_audit (
        id TEXT PRIMARY KEY,
        at BIGINT NOT NULL,
        actor TEXT,
        action TEXT NOT NULL,
        object TEXT NOT NULL,
        ip TEXT NOT NULL,
        detail TEXT NOT NULL
    )
    """,
    # Each filter of the trail in the trail's order.
    "CREATE INDEX identity_audit_at ON identity_audit(at, id)",
    *(
        f"CREATE INDEX identity_audit_{by} ON identity_audit({by}, at, id)"
        for by in ("actor", "object", "action")
    ),
)


# What lists of users sort by: (value, ordinal), so that equal values come in one order.
SORTED_BY = (
    "updated_at",
    "first_name",
    "last_name",
    "username",
    "last_active_at",
    "last_sign_in_at",
    "primary_email",
    "primary_phone",
)

# Parts of words are found by their trigrams, which either engine indexes in its own way.
SQLITE_SEARCH = (
    """
    CREATE VIRTUAL TABLE identity_user_search USING fts5(
        search_text, content='identity_users', content_rowid='ordinal', tokenize='trigram'
    )
    """,
    """
    CREATE TRIGGER identity_users_search_insert AFTER INSERT ON identity_users BEGIN
        INSERT INTO identity_user_search(rowid, search_text) VALUES (new.ordinal, new.search_text);
    END
    """,
    """
    CREATE TRIGGER identity_users_search_delete AFTER DELETE ON identity_users BEGIN
        INSERT INTO identity_user_search(identity_user_search, rowid, search_text)
            VALUES ('delete', old.ordinal, old.search_text);
    END
    """,
    """
    CREATE TRIGGER identity_users_search_update AFTER UPDATE OF ordinal, search_text ON identity_users
    WHEN old.ordinal <> new.ordinal OR old.search_text <> new.search_text BEGIN
        INSERT INTO identity_user_search(identity_user_search, rowid, search_text)
            VALUES ('delete', old.ordinal, old.search_text);
        INSERT INTO identity_user_search(rowid, search_text) VALUES (new.ordinal, new.search_text);
    END
    """,
)
POSTGRESQL_SEARCH = (
    # Not pg_trgm: an extension is not everywhere, and not everybody may create one. Not PARALLEL SAFE: PostgreSQL thinks that
    # each user it finds costs the function once more, and starting processes for that takes longer than all of it.
    """
    CREATE FUNCTION identity_trigrams(text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
        SELECT coalesce(array_agg(substr($1, i, 3)), '{}') FROM generate_series(1, length($1) - 2) AS i
    $$
    """,
    "CREATE INDEX identity_users_search ON identity_users USING gin (identity_trigrams(search_text))",
)

# How many users there are is the sum of a few rows. PostgreSQL adds one at each change and folds them together now and
# then: two that change one row at once would collide.
SQLITE_COUNTS = (
    "INSERT INTO identity_user_counts (users) VALUES (0)",
    """
    CREATE TRIGGER identity_users_count_insert AFTER INSERT ON identity_users BEGIN
        UPDATE identity_user_counts SET users = users + 1;
    END
    """,
    """
    CREATE TRIGGER identity_users_count_delete AFTER DELETE ON identity_users BEGIN
        UPDATE identity_user_counts SET users = users - 1;
    END
    """,
)
POSTGRESQL_COUNTS = (
    """
    CREATE FUNCTION identity_count_users() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO identity_user_counts (users)
            SELECT CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END FROM changed HAVING count(*) > 0;
        IF random() < 0.001 THEN
            WITH folded AS (DELETE FROM identity_user_counts RETURNING users)
                INSERT INTO identity_user_counts (users) SELECT sum(users) FROM folded;
        END IF;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER identity_users_count_insert AFTER INSERT ON identity_users
        REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION identity_count_users()
    """,
    """
    CREATE TRIGGER identity_users_count_delete AFTER DELETE ON identity_users
        REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION identity_count_users()
    """,
)


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    # SQLite puts NULL first when it sorts upwards; PostgreSQL's indexes are made to do the same.
    nulls = " NULLS FIRST" if is_postgresql else ""
    for statement in TABLES:
        op.execute(statement)
    for column in SORTED_BY:
        op.execute(f"CREATE INDEX identity_users_{column} ON identity_users({column}{nulls}, ordinal)")
    for statement in (
        (*POSTGRESQL_SEARCH, *POSTGRESQL_COUNTS) if is_postgresql else (*SQLITE_SEARCH, *SQLITE_COUNTS)
    ):
        op.execute(statement)

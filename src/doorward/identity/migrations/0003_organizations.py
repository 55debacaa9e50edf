"""Organizations, their members, roles and permissions, domains and whom those bring in."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Written as in 0001: times are BIGINT milliseconds since the epoch.
TABLES = (
    """
    CREATE TABLE identity_organizations (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        slug TEXT NOT NULL UNIQUE,
        image_id TEXT,
        public_metadata TEXT NOT NULL,
        private_metadata TEXT NOT NULL,
        created_by TEXT,
        max_allowed_memberships INTEGER NOT NULL,
        admin_delete_enabled BOOLEAN NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE identity_organization_roles (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        key TEXT NOT NULL UNIQUE,
        description TEXT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE identity_organization_permissions (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        key TEXT NOT NULL UNIQUE,
        description TEXT NOT NULL,
        type TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE identity_organization_role_permissions (
        role_id TEXT NOT NULL REFERENCES identity_organization_roles(id) ON DELETE CASCADE,
        permission_id TEXT NOT NULL REFERENCES identity_organization_permissions(id) ON DELETE CASCADE,
        PRIMARY KEY (role_id, permission_id)
    )
    """,
    """
    CREATE TABLE identity_organization_memberships (
        id TEXT PRIMARY KEY,
        organization_id TEXT NOT NULL REFERENCES identity_organizations(id) ON DELETE CASCADE,
        user_id TEXT NOT NULL REFERENCES identity_users(id) ON DELETE CASCADE,
        role_id TEXT NOT NULL REFERENCES identity_organization_roles(id),
        public_metadata TEXT NOT NULL,
        private_metadata TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        UNIQUE (organization_id, user_id)
    )
    """,
    "CREATE INDEX identity_organization_memberships_user ON identity_organization_memberships(user_id)",
    "CREATE INDEX identity_organization_memberships_role ON identity_organization_memberships(role_id)",
    """
    CREATE TABLE identity_organization_domains (
        id TEXT PRIMARY KEY,
        organization_id TEXT NOT NULL REFERENCES identity_organizations(id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        enrollment_mode TEXT NOT NULL,
        affiliation_email_address TEXT,
        verified_at BIGINT,
        verified_by TEXT,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        UNIQUE (organization_id, name)
    )
    """,
    # Many may claim a domain; only one organization can have proved it.
    """
    CREATE UNIQUE INDEX identity_organization_domains_owned ON identity_organization_domains(name)
        WHERE verified_at IS NOT NULL
    """,
    """
    CREATE TABLE identity_organization_suggestions (
        id TEXT PRIMARY KEY,
        organization_id TEXT NOT NULL REFERENCES identity_organizations(id) ON DELETE CASCADE,
        domain_id TEXT NOT NULL REFERENCES identity_organization_domains(id) ON DELETE CASCADE,
        user_id TEXT NOT NULL REFERENCES identity_users(id) ON DELETE CASCADE,
        status TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        updated_at BIGINT NOT NULL,
        UNIQUE (organization_id, user_id)
    )
    """,
    "CREATE INDEX identity_organization_suggestions_user ON identity_organization_suggestions(user_id)",
    "CREATE INDEX identity_organization_suggestions_domain ON identity_organization_suggestions(domain_id)",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)

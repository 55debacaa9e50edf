"""Accounts and their entries."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE ledger_accounts (
            id      TEXT PRIMARY KEY,
            balance BIGINT NOT NULL CHECK (balance >= 0),
            is_open BOOLEAN NOT NULL DEFAULT TRUE,
            secret  BYTEA
        )
        """
    )

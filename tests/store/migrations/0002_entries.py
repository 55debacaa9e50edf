"""What was booked on an account."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE ledger_entries (
            id         TEXT PRIMARY KEY,
            account_id TEXT NOT NULL REFERENCES ledger_accounts (id) ON DELETE CASCADE,
            amount     BIGINT NOT NULL
        )
        """
    )

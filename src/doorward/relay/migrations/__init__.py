"""Alembic revisions of the relay's tables, oldest first."""

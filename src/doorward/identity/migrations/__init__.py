"""Identity's schema, one Alembic revision a file."""

"""The store, every case on SQLite and on PostgreSQL."""

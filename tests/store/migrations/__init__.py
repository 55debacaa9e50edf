"""Revisions of a schema that exists for the store's own tests."""

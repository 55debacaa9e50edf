"""Revisions of the environment's tables."""

"""The world of tests.identity, with endpoints that listen."""

from __future__ import annotations

from tests.identity.conftest import make_world, world

__all__ = ["make_world", "world"]

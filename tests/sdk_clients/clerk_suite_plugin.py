"""Loaded into the pytest of `clerk-sdk-python`: its remote tests have no option for the address and would ask Clerk's cloud."""

from __future__ import annotations

import os


def pytest_sessionstart() -> None:
    from clerk_backend_api.security.types import VerifyTokenOptions

    make = VerifyTokenOptions.__init__
    cloud, ours = "https://api.clerk.com", os.environ["CLERK_API_URL"]
    assert make.__defaults__ is not None
    assert cloud in make.__defaults__
    make.__defaults__ = tuple(ours if default == cloud else default for default in make.__defaults__)

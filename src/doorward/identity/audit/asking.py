"""From where the request that is being served came: every event it leads to is recorded with this address.

A context variable, because it says nothing about what is done and so has no place in what each service asks for; a row
cannot be written without it by forgetting to hand it on. The store runs transactions in the context of who asked for them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

_address: ContextVar[Callable[[], str]] = ContextVar("doorward_asking_address", default=str)


@contextlib.contextmanager
def asked_from(address: Callable[[], str]) -> Iterator[None]:
    """While one request is served. `address` is called only for what is recorded: most requests record nothing."""
    token = _address.set(address)
    try:
        yield
    finally:
        _address.reset(token)


def asking_address() -> str:
    """Empty for what no request asked for: background jobs, and commands at the server's own machine."""
    return _address.get()()

"""Who calls: the holder of an instance's secret key, or a machine."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

import msgspec

from doorward.identity.accounts.administrators import OPERATOR
from doorward.identity.errors import (
    AUTHORIZATION_HEADER_FORMAT_INVALID,
    CLERK_KEY_INVALID,
    MACHINE_SECRET_KEY_INVALID,
    Refused,
)
from doorward.identity.secret_keys import SecretKeys

CallerKind: TypeAlias = Literal["instance", "machine"]


class Caller(msgspec.Struct, frozen=True):
    """`id` is the secret key's, or the machine's; audit rows name it as the actor."""

    kind: CallerKind
    id: str


class MachineKeys(Protocol):
    """Recognises machines by their secret keys (`ak_…`)."""

    async def recognise(self, secret: str) -> str | None:
        """The machine's id."""
        ...


class Recognition(Protocol):
    """Tells who calls."""

    async def caller_of(self, authorization: str | None, allowed: frozenset[CallerKind]) -> Caller:
        """Raises Refused (401): nobody, or not one of a kind that may do this."""
        ...


class LocalOperator:
    """Whoever runs a command on the server's own machine. What is a machine's alone they may do with its key."""

    def __init__(self, name: str, callers: Callers) -> None:
        self._name = name
        self._callers = callers

    async def caller_of(self, authorization: str | None, allowed: frozenset[CallerKind]) -> Caller:
        if authorization is None and "instance" in allowed:
            return Caller("instance", f"{OPERATOR}{self._name}")
        return await self._callers.caller_of(authorization, allowed)


class Callers:
    def __init__(self, secret_keys: SecretKeys, machines: MachineKeys | None = None) -> None:
        self._secret_keys = secret_keys
        self._machines = machines

    async def caller_of(self, authorization: str | None, allowed: frozenset[CallerKind]) -> Caller:
        """Raises Refused (401): no such key, or not one of a kind that may do this."""
        scheme, _, secret = (authorization or "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise Refused(AUTHORIZATION_HEADER_FORMAT_INVALID)
        if "instance" in allowed:
            key = await self._secret_keys.recognise(secret)
            if key is not None:
                return Caller("instance", key.id)
        if "machine" in allowed and self._machines is not None:
            machine_id = await self._machines.recognise(secret)
            if machine_id is not None:
                return Caller("machine", machine_id)
        raise Refused(CLERK_KEY_INVALID if "instance" in allowed else MACHINE_SECRET_KEY_INVALID)

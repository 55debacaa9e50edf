"""A machine that a test made, and what it does with its own key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.identity_backend_api.conftest import Backend

#: Where the family of tokens is answered: without version, as JavaScript asks, and with.
FAMILIES = ("/api", "/api/v1")


@dataclass
class HeldMachine:
    backend: Backend
    id: str
    secret: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.secret}"}

    async def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        return await self.backend.ask(method, path, status, headers=self.headers, **options)

    async def refused(self, method: str, path: str, status: int, code: str, **options: Any) -> None:
        await token_refused(self.backend, method, path, status, code, headers=self.headers, **options)

    async def mint(self, **members: Any) -> Any:
        return await self.ask("POST", "/m2m_tokens", 201, json=members)

    async def verify(self, token: str) -> Any:
        return await self.ask("POST", "/m2m_tokens/verify", json={"token": token})

    async def cannot_verify(self, token: str) -> None:
        await self.refused("POST", "/m2m_tokens/verify", 404, "resource_not_found", json={"token": token})


async def make_machine(backend: Backend, name: str = "machine", **members: Any) -> HeldMachine:
    made = await backend.ask("POST", "/machines", json={"name": name, **members})
    return HeldMachine(backend, made["id"], made["secret_key"])


async def token_refused(
    backend: Backend, method: str, path: str, status: int, code: str, **options: Any
) -> dict[str, str]:
    """The one error of a refusal in this family: a code and two sentences, and nothing else."""
    body = await backend.ask(method, path, status, **options)
    assert set(body) == {"errors"}
    (error,) = body["errors"]
    assert set(error) == {"message", "long_message", "code"}
    assert error["code"] == code, error
    assert error["message"]
    assert error["long_message"]
    return dict(error)

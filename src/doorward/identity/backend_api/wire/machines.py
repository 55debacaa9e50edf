"""What the Backend API is asked about machines, their scopes and secret keys."""

from __future__ import annotations

from typing import Annotated

import msgspec

from doorward.identity.backend_api.wire.shapes import Body, Page
from doorward.identity.machines import rules

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
TokenSeconds = Annotated[int, msgspec.Meta(ge=1, le=rules.MAX_TOKEN_SECONDS)]


class ListMachines(Page, frozen=True, kw_only=True):
    query: str | None = None
    order_by: str = "-created_at"


class CreateMachine(Body, frozen=True, kw_only=True):
    name: Name
    scoped_machines: Annotated[list[str], msgspec.Meta(max_length=rules.MAX_SCOPES)] | None = None
    default_token_ttl: TokenSeconds | None = None


class UpdateMachine(Body, frozen=True, kw_only=True):
    name: Name | None = None
    default_token_ttl: TokenSeconds | None = None


class RotateSecretKey(Body, frozen=True, kw_only=True):
    previous_token_ttl: Annotated[int, msgspec.Meta(ge=0, le=rules.MAX_GRACE_SECONDS)]


class CreateMachineScope(Body, frozen=True, kw_only=True):
    to_machine_id: str

"""Every operation there is."""

from __future__ import annotations

from doorward.identity.backend_api import jwks, jwt_templates
from doorward.identity.backend_api.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *jwks.OPERATIONS,
    *jwt_templates.OPERATIONS,
)

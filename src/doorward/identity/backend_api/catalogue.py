"""Every operation there is."""

from __future__ import annotations

from doorward.identity.backend_api import (
    api_keys,
    jwks,
    jwt_templates,
    m2m_tokens,
    machines,
    oauth_applications,
    users,
    webhooks,
)
from doorward.identity.backend_api.operations import Operation

OPERATIONS: tuple[Operation, ...] = (
    *jwks.OPERATIONS,
    *jwt_templates.OPERATIONS,
    *machines.OPERATIONS,
    *m2m_tokens.OPERATIONS,
    *api_keys.OPERATIONS,
    *users.OPERATIONS,
    *webhooks.OPERATIONS,
    *oauth_applications.OPERATIONS,
)

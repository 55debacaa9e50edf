"""Every operation there is."""

from __future__ import annotations

from doorward.identity.backend_api import (
    addresses,
    api_keys,
    domains,
    instance,
    invitations,
    jwks,
    jwt_templates,
    listed_identifiers,
    m2m_tokens,
    machines,
    oauth_applications,
    organization_domains,
    organization_members,
    organization_roles,
    organizations,
    redirect_urls,
    secret_keys,
    sessions,
    tickets,
    user_imports,
    users,
    waitlist_entries,
    webhook_endpoints,
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
    *user_imports.OPERATIONS,
    *webhooks.OPERATIONS,
    *webhook_endpoints.OPERATIONS,
    *oauth_applications.OPERATIONS,
    *instance.OPERATIONS,
    *listed_identifiers.OPERATIONS,
    *waitlist_entries.OPERATIONS,
    *invitations.OPERATIONS,
    *redirect_urls.OPERATIONS,
    *domains.OPERATIONS,
    *sessions.OPERATIONS,
    *addresses.OPERATIONS,
    *tickets.OPERATIONS,
    *organizations.OPERATIONS,
    *organization_domains.OPERATIONS,
    *organization_members.OPERATIONS,
    *organization_roles.OPERATIONS,
)

#: For the operator of the machine, in its own process (`operator_application`); no server has a route to them.
LOCAL_OPERATIONS: tuple[Operation, ...] = (
    *secret_keys.OPERATIONS,
    *user_imports.LOCAL_OPERATIONS,
)

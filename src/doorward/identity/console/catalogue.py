"""Every section, in the order of the navigation."""

from doorward.identity.console import (
    administrators,
    api_keys,
    audit_log,
    identifier_lists,
    instance_settings,
    invitations,
    jwt_templates,
    machines,
    oauth_applications,
    organizations,
    overview,
    roles,
    secret_keys,
    users,
    waitlist,
    webhooks,
)
from doorward.identity.console.sections import Section

SECTIONS: tuple[Section, ...] = (
    overview.SECTION,
    users.SECTION,
    organizations.SECTION,
    roles.SECTION,
    invitations.SECTION,
    waitlist.SECTION,
    identifier_lists.SECTION,
    machines.SECTION,
    api_keys.SECTION,
    oauth_applications.SECTION,
    jwt_templates.SECTION,
    webhooks.SECTION,
    secret_keys.SECTION,
    instance_settings.SECTION,
    administrators.SECTION,
    audit_log.SECTION,
)

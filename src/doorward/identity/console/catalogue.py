"""Every section, in the order of the navigation."""

from doorward.identity.console import (
    administrators,
    audit_log,
    identifier_lists,
    instance_settings,
    invitations,
    organizations,
    overview,
    roles,
    users,
    waitlist,
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
    instance_settings.SECTION,
    administrators.SECTION,
    audit_log.SECTION,
)

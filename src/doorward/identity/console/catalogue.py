"""Every section, in the order of the navigation."""

from doorward.identity.console import overview, users
from doorward.identity.console.sections import Section

SECTIONS: tuple[Section, ...] = (
    overview.SECTION,
    users.SECTION,
)

"""Organizations, members and domains with all that is shown of them."""

import msgspec

from doorward.identity.accounts.store import Account
from doorward.identity.organizations.domain_store import DomainRecord
from doorward.identity.organizations.role_store import Role
from doorward.identity.organizations.store import MembershipRecord, OrganizationRecord
from doorward.identity.verification.store import VerificationRecord


class Organization(msgspec.Struct, frozen=True):
    """With what is counted about it."""

    record: OrganizationRecord
    members_count: int
    pending_invitations_count: int
    has_elevated_member: bool


class Membership(msgspec.Struct, frozen=True):
    """With what is shown of it."""

    record: MembershipRecord
    organization: OrganizationRecord
    role: Role
    account: Account


class Domain(msgspec.Struct, frozen=True):
    """With what is shown of it."""

    record: DomainRecord
    verification: VerificationRecord | None
    organization: OrganizationRecord
    total_pending_invitations: int
    total_pending_suggestions: int

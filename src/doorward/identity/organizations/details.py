"""Organizations, members and domains with all that is shown of them."""

from dataclasses import dataclass

from doorward.identity.accounts.store import Account
from doorward.identity.organizations.domain_store import DomainRecord
from doorward.identity.organizations.role_store import Role
from doorward.identity.organizations.store import MembershipRecord, OrganizationRecord
from doorward.identity.verification.store import VerificationRecord


@dataclass(frozen=True, slots=True)
class Organization:
    """With what is counted about it."""

    record: OrganizationRecord
    members_count: int
    pending_invitations_count: int
    has_elevated_member: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """With what is shown of it."""

    record: MembershipRecord
    organization: OrganizationRecord
    role: Role
    account: Account


@dataclass(frozen=True, slots=True)
class Domain:
    """With what is shown of it."""

    record: DomainRecord
    verification: VerificationRecord | None
    organization: OrganizationRecord
    total_pending_invitations: int
    total_pending_suggestions: int

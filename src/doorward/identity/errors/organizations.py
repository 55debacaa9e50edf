"""Refusals about organizations: members, roles, permissions, invitations."""

from __future__ import annotations

from doorward.identity.errors.problem import Problem

# 400
ALREADY_A_MEMBER = Problem(
    400,
    "already_a_member_in_organization",
    "already a member",
    "This user is already a member of the organization.",
)
ORGANIZATION_CREATOR_NOT_FOUND = Problem(
    400, "organization_creator_not_found", "creator not found", "The user named as creator does not exist."
)
ORGANIZATION_MINIMUM_PERMISSIONS_NEEDED = Problem(
    400,
    "organization_minimum_permissions_needed",
    "minimum permissions needed",
    "Somebody must remain who can manage the organization's members and delete it.",
)

# 403
ORGANIZATION_NOT_ENABLED = Problem(
    403,
    "organization_not_enabled_in_instance",
    "Organizations are not enabled",
    "This instance has no organizations. Enable them with PATCH /instance/organization_settings.",
)
ORGANIZATION_CREATION_NOT_ALLOWED = Problem(
    403, "org_creation_not_allowed", "Creation not allowed", "This account may not make organizations."
)
ORGANIZATION_CREATION_LIMIT_EXCEEDED = Problem(
    403,
    "org_creation_limit_exceeded",
    "Creation limit exceeded",
    "This account has made as many organizations as it may.",
)
ORGANIZATION_ADMIN_DELETE_NOT_ENABLED = Problem(
    403,
    "organization_admin_delete_not_enabled",
    "Deletion not enabled",
    "Members cannot delete this organization.",
)
ORGANIZATION_DOMAINS_NOT_ENABLED = Problem(
    403,
    "organization_domains_not_enabled",
    "Domains are not enabled",
    "Organizations of this instance have no domains. Enable them with PATCH /instance/organization_settings.",
)
ORGANIZATION_SLUGS_DISABLED = Problem(
    403,
    "organization_slugs_disabled",
    "Slugs are disabled",
    "Organizations of this instance choose no slugs.",
)
ORGANIZATION_MEMBERSHIP_QUOTA_EXCEEDED = Problem(
    403,
    "organization_membership_quota_exceeded",
    "Membership quota exceeded",
    "The organization has as many members as it may have.",
)
ORGANIZATION_SYSTEM_PERMISSION_NOT_MODIFIABLE = Problem(
    403,
    "organization_system_permission_not_modifiable",
    "System permission",
    "System permissions cannot be changed or deleted.",
)
NOT_A_MEMBER = Problem(
    403, "not_a_member_in_organization", "Not a member", "This user is not a member of the organization."
)
MISSING_ORGANIZATION_PERMISSION = Problem(
    403,
    "missing_organization_permission",
    "Missing permission",
    "This user's role in the organization does not allow this.",
)

# 404
ORGANIZATION_INVITATION_NOT_PENDING = Problem(
    404, "organization_invitation_not_pending", "not pending", "This invitation is not pending any more."
)
ORGANIZATION_NOT_FOUND_OR_UNAUTHORIZED = Problem(
    404,
    "organization_not_found_or_unauthorized",
    "not found",
    "There is no such organization, or the user is not a member of it.",
)
ORGANIZATION_ROLE_PERMISSION_NOT_FOUND = Problem(
    404,
    "organization_role_permission_association_not_found",
    "not assigned",
    "The role does not have this permission.",
)

# 409
ORGANIZATION_ROLE_PERMISSION_EXISTS = Problem(
    409,
    "organization_role_permission_association_exists",
    "already assigned",
    "The role has this permission already.",
)

# 422
ORGANIZATION_DOMAIN_ALREADY_EXISTS = Problem(
    422, "organization_domain_already_exists", "Domain taken", "An organization has this domain already."
)
ORGANIZATION_DOMAIN_COMMON = Problem(
    422,
    "organization_domain_common",
    "Domain of mailboxes",
    "Everybody can have an address at this domain, so it tells nobody's colleagues.",
)
ORGANIZATION_ROLE_ASSIGNED_MEMBERS = Problem(
    422, "organization_role_assigned_members", "role in use", "Members still have this role."
)
ORGANIZATION_ROLE_DEFAULT_CREATOR_ROLE = Problem(
    422,
    "organization_role_default_creator_role",
    "creator's role",
    "Whoever makes an organization gets this role; choose another creator's role first.",
)
ORGANIZATION_ROLE_DOMAIN_DEFAULT_ROLE = Problem(
    422,
    "organization_role_domain_default_role",
    "domains' role",
    "Whom a domain brings in gets this role; choose another default role of domains first.",
)
ORGANIZATION_ROLE_EXISTS_IN_INVITATIONS = Problem(
    422,
    "organization_role_exists_in_invitations",
    "role in invitations",
    "Invitations that wait give this role; revoke them first.",
)
ORGANIZATION_MISSING_CREATOR_ROLE_PERMISSIONS = Problem(
    422,
    "organization_missing_creator_role_permissions",
    "missing permissions",
    "The creator's role must read and manage members and delete the organization.",
)

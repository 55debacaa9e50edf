"""What `@clerk/backend` is asked about organizations: members, roles, permissions, invitations."""

from __future__ import annotations

import base64
from typing import Any

from tests.sdk_clients.javascript import JavaScript
from tests.sdk_clients.javascript_people import person
from tests.sdk_clients.seen import PNG, ids, new_address, new_name, shows


def organization(js: JavaScript, **members: Any) -> Any:
    return js("organizations.createOrganization", {"name": new_name("Acme"), **members})


def organizations(js: JavaScript) -> None:
    ada, slug = person(js)["id"], new_name("acme")
    acme = organization(
        js, slug=slug, createdBy=ada, publicMetadata={"a": {"b": 1, "c": 2}}, privateMetadata={"Plan": "x"}
    )
    shows(
        acme, slug=slug, createdBy=ada, publicMetadata={"a": {"b": 1, "c": 2}}, privateMetadata={"Plan": "x"}
    )
    (member,) = js("organizations.getOrganizationMembershipList", {"organizationId": acme["id"]})["data"]
    shows(member, role="org:admin")
    shows(member["publicUserData"], userId=ada)
    assert js("organizations.getOrganization", {"slug": slug})["id"] == acme["id"]
    counted = js("organizations.getOrganization", {"organizationId": acme["id"], "includeMembersCount": True})
    shows(counted, id=acme["id"], membersCount=1)
    other = organization(js)
    listed = js("organizations.getOrganizationList", {"query": acme["name"], "includeMembersCount": True})
    assert [(one["id"], one["membersCount"]) for one in listed["data"]] == [(acme["id"], 1)]
    both = {"organizationId": [acme["id"], other["id"]], "orderBy": "created_at"}
    assert ids(js("organizations.getOrganizationList", both)["data"]) == [acme["id"], other["id"]]
    changed = js(
        "organizations.updateOrganization", acme["id"], {"name": "Acme & Sons", "maxAllowedMemberships": 7}
    )
    shows(changed, name="Acme & Sons", maxAllowedMemberships=7, slug=slug)
    merging = {"publicMetadata": {"a": {"b": None, "camelCase": 3}}}
    merged = js("organizations.updateOrganizationMetadata", acme["id"], merging)
    shows(merged, publicMetadata={"a": {"c": 2, "camelCase": 3}}, privateMetadata={"Plan": "x"})
    replaced = js("organizations.replaceOrganizationMetadata", acme["id"], {"publicMetadata": {"z": 1}})
    shows(replaced, publicMetadata={"z": 1}, privateMetadata={"Plan": "x"})
    taken = js.refused("organizations.createOrganization", {"name": "Acme", "slug": slug})
    assert taken[0] in (400, 422)
    unknown = js.refused("organizations.getOrganization", {"slug": new_name("none")})
    assert unknown == (404, "resource_not_found")
    shows(js("organizations.deleteOrganization", acme["id"]), id=acme["id"], deleted=True)


def memberships(js: JavaScript) -> None:
    ada, bob = person(js, firstName="Ada"), person(js, firstName="Bob")
    acme = organization(js, createdBy=ada["id"])["id"]
    one = {"organizationId": acme, "userId": bob["id"]}
    made = js("organizations.createOrganizationMembership", {**one, "role": "org:member"})
    shows(made, role="org:member")
    assert made["organization"]["id"] == acme
    bare = js.refused("organizations.createOrganizationMembership", {**one, "role": "admin"})
    assert bare[0] in (404, 422)
    by_name = {"organizationId": acme, "orderBy": "+first_name"}
    listed = js("organizations.getOrganizationMembershipList", by_name)
    members = [member["publicUserData"]["userId"] for member in listed["data"]]
    assert (members, listed["totalCount"]) == ([ada["id"], bob["id"]], 2)
    found = js("organizations.getOrganizationMembershipList", {"organizationId": acme, "nameQuery": "bo"})
    assert ids(found["data"]) == [made["id"]]
    only = js("organizations.getOrganizationMembershipList", {"organizationId": acme, "role": ["org:member"]})
    assert ids(only["data"]) == [made["id"]]
    everywhere = js("organizations.getInstanceOrganizationMembershipList", {"limit": 500})
    assert made["id"] in ids(everywhere["data"])
    assert ids(js("users.getOrganizationMembershipList", {"userId": bob["id"]})["data"]) == [made["id"]]
    noted = js("organizations.updateOrganizationMembershipMetadata", {**one, "publicMetadata": {"desk": 4}})
    shows(noted, id=made["id"], publicMetadata={"desk": 4})
    shows(js("organizations.updateOrganizationMembership", {**one, "role": "org:admin"}), role="org:admin")
    left = js("organizations.deleteOrganizationMembership", one)
    shows(left, id=made["id"])
    last = {"organizationId": acme, "userId": ada["id"]}
    refused = js.refused("organizations.deleteOrganizationMembership", last)
    assert refused == (400, "organization_minimum_permissions_needed")


def roles(js: JavaScript) -> None:
    key = new_name("orders").replace("-", "_")
    permission = js(
        "organizationPermissions.createOrganizationPermission",
        {"name": "Read orders", "key": f"org:{key}:read", "description": "x"},
    )
    shows(permission, key=f"org:{key}:read", name="Read orders", description="x")
    found = js("organizationPermissions.getOrganizationPermission", permission["id"])
    assert found == permission
    listed = js("organizationPermissions.getOrganizationPermissionList", {"query": key})
    assert ids(listed["data"]) == [permission["id"]]
    renamed = js(
        "organizationPermissions.updateOrganizationPermission",
        {"permissionId": permission["id"], "name": "See orders"},
    )
    shows(renamed, name="See orders", key=f"org:{key}:read")
    role = js("organizationRoles.createOrganizationRole", {"name": "Clerk", "key": f"org:{key}"})
    shows(role, key=f"org:{key}", name="Clerk", permissions=[])
    pair = {"organizationRoleId": role["id"], "permissionId": permission["id"]}
    assert ids(js("organizationRoles.assignPermissionToOrganizationRole", pair)["permissions"]) == [
        permission["id"]
    ]
    assert ids(js("organizationRoles.getOrganizationRole", role["id"])["permissions"]) == [permission["id"]]
    assert js("organizationRoles.removePermissionFromOrganizationRole", pair)["permissions"] == []
    changed = js(
        "organizationRoles.updateOrganizationRole", {"organizationRoleId": role["id"], "name": "Teller"}
    )
    shows(changed, name="Teller")
    assert ids(js("organizationRoles.getOrganizationRoleList", {"query": key})["data"]) == [role["id"]]
    shows(js("organizationRoles.deleteOrganizationRole", role["id"]), id=role["id"], deleted=True)
    gone = js("organizationPermissions.deleteOrganizationPermission", permission["id"])
    shows(gone, id=permission["id"], deleted=True)


def invitations_to_organizations(js: JavaScript) -> None:
    ada = person(js)["id"]
    acme, address = organization(js, createdBy=ada)["id"], new_address("guest")
    wish = {"organizationId": acme, "inviterUserId": ada, "emailAddress": address, "role": "org:member"}
    made = js("organizations.createOrganizationInvitation", {**wish, "publicMetadata": {"team": "a"}})
    shows(made, emailAddress=address, role="org:member", organizationId=acme, status="pending")
    shows(made, publicMetadata={"team": "a"})
    one = {"organizationId": acme, "invitationId": made["id"]}
    assert js("organizations.getOrganizationInvitation", one)["id"] == made["id"]
    pending = js(
        "organizations.getOrganizationInvitationList", {"organizationId": acme, "status": ["pending"]}
    )
    assert ids(pending["data"]) == [made["id"]]
    guest = js("users.createUser", {"emailAddress": [address], "skipPasswordRequirement": True})["id"]
    (own,) = js("users.getOrganizationInvitationList", {"userId": guest, "status": "pending"})["data"]
    shows(own, id=made["id"], status="pending")
    assert own["publicOrganizationData"]["id"] == acme
    revoked = js("organizations.revokeOrganizationInvitation", {**one, "requestingUserId": ada})
    shows(revoked, id=made["id"], status="revoked")
    several = [
        {"emailAddress": new_address("guest"), "role": "org:member", "inviterUserId": ada} for _ in range(11)
    ]
    many = js("organizations.createOrganizationInvitationBulk", acme, several[:2])["data"]
    assert [one["emailAddress"] for one in many] == [one["emailAddress"] for one in several[:2]]
    assert 400 <= js.refused("organizations.createOrganizationInvitationBulk", acme, several)[0] < 500


def logos(js: JavaScript) -> None:
    acme = organization(js)["id"]
    picture = {"file": base64.b64encode(PNG).decode()}
    shows(js("organizations.updateOrganizationLogo", acme, picture), id=acme, hasImage=True)
    shows(js("organizations.deleteOrganizationLogo", acme), id=acme, hasImage=False)


def domains(js: JavaScript) -> None:
    """The SDK has no class for a domain and gives it as it comes."""
    modes = {"domainsEnabled": True, "domainsEnrollmentModes": ["manual_invitation", "automatic_suggestion"]}
    js("instance.updateOrganizationSettings", modes)
    acme, name = organization(js)["id"], f"{new_name('acme')}.example"
    wish = {"organizationId": acme, "name": name, "enrollmentMode": "manual_invitation", "verified": True}
    made = js("organizations.createOrganizationDomain", wish)
    shows(made, name=name, organization_id=acme, enrollment_mode="manual_invitation")
    assert ids(js("organizations.getOrganizationDomainList", {"organizationId": acme})["data"]) == [
        made["id"]
    ]
    one = {"organizationId": acme, "domainId": made["id"]}
    changed = js("organizations.updateOrganizationDomain", {**one, "enrollmentMode": "automatic_suggestion"})
    shows(changed, id=made["id"], enrollment_mode="automatic_suggestion")
    shows(js("organizations.deleteOrganizationDomain", one), id=made["id"], deleted=True)


ORGANIZATIONS = (organizations, memberships, roles, invitations_to_organizations, logos, domains)

"""What `clerk-backend-api` is asked about organizations: members, roles, permissions, invitations."""

from __future__ import annotations

from typing import Any

from tests.sdk_clients.python_people import NOT_FOUND, person
from tests.sdk_clients.python_sdk import Python, raised, refused
from tests.sdk_clients.seen import PNG, ids, new_address, new_name, shows


def organization(py: Python, **members: Any) -> Any:
    return py.organizations.create(request={"name": new_name("Acme"), **members})


def organizations(py: Python) -> None:
    ada, slug = person(py).id, new_name("acme")
    acme = organization(py, slug=slug, created_by=ada, public_metadata={"a": {"b": 1, "c": 2}})
    shows(acme, slug=slug, created_by=ada, public_metadata={"a": {"b": 1, "c": 2}})
    shows(py.organizations.get(organization_id=slug, include_members_count=True), id=acme.id, members_count=1)
    listed = py.organizations.list(query=acme.name, include_members_count=True)
    assert ([(one.id, one.members_count) for one in listed.data], listed.total_count) == ([(acme.id, 1)], 1)
    changed = py.organizations.update(organization_id=acme.id, name="Acme & Sons", max_allowed_memberships=7)
    shows(changed, name="Acme & Sons", max_allowed_memberships=7, slug=slug)
    merged = py.organizations.merge_metadata(
        organization_id=acme.id, public_metadata={"a": {"b": None, "dE": 3}}
    )
    shows(merged, public_metadata={"a": {"c": 2, "dE": 3}})
    shows(py.organizations.replace_metadata(organization_id=acme.id, public_metadata={}), public_metadata={})
    shows(py.organizations.delete(organization_id=acme.id), id=acme.id, deleted=True)
    assert refused(py.organizations.get, organization_id=acme.id) == NOT_FOUND


def memberships(py: Python) -> None:
    ada, bob = person(py).id, person(py, first_name="Bob").id
    acme = organization(py, created_by=ada).id
    made = py.organization_memberships.create(organization_id=acme, user_id=bob, role="org:member")
    shows(made, role="org:member")
    assert (made.organization.id, made.public_user_data.user_id) == (acme, bob)
    assert raised(
        py.organization_memberships.create, organization_id=acme, user_id=bob, role="admin"
    ).status_code in (404, 422)
    listed = py.organization_memberships.list(organization_id=acme, order_by="created_at")
    assert [one.public_user_data.user_id for one in listed.data] == [ada, bob]
    only = py.organization_memberships.list(organization_id=acme, role=["org:member"])
    assert (ids(only.data), only.total_count) == ([made.id], 1)
    assert ids(py.users.get_organization_memberships(user_id=bob).data) == [made.id]
    assert made.id in ids(py.users.get_instance_organization_memberships(limit=500).data)
    noted = py.organization_memberships.update_metadata(
        organization_id=acme, user_id=bob, public_metadata={"desk": 4}
    )
    shows(noted, id=made.id, public_metadata={"desk": 4})
    promoted = py.organization_memberships.update(organization_id=acme, user_id=bob, role="org:admin")
    shows(promoted, role="org:admin")
    shows(py.organization_memberships.delete(organization_id=acme, user_id=bob), id=made.id)
    last = raised(py.organization_memberships.delete, organization_id=acme, user_id=ada)
    assert "organization_minimum_permissions_needed" in last.body


def roles(py: Python) -> None:
    key = new_name("orders").replace("-", "_")
    read = py.organization_permissions.create(name="Read orders", key=f"org:{key}:read", description="x")
    shows(read, key=f"org:{key}:read", name="Read orders", description="x")
    assert py.organization_permissions.get(permission_id=read.id) == read
    assert ids(py.organization_permissions.list(query=key).data) == [read.id]
    shows(py.organization_permissions.update(permission_id=read.id, name="See orders"), name="See orders")
    role = py.organization_roles.create(name="Clerk", key=f"org:{key}")
    shows(role, key=f"org:{key}", name="Clerk", permissions=[])
    pair = {"organization_role_id": role.id, "permission_id": read.id}
    assert ids(py.organization_roles.assign_permission(**pair).permissions) == [read.id]
    assert ids(py.organization_roles.get(organization_role_id=role.id).permissions) == [read.id]
    assert py.organization_roles.remove_permission(**pair).permissions == []
    shows(py.organization_roles.update(organization_role_id=role.id, name="Teller"), name="Teller")
    assert ids(py.organization_roles.list(query=key).data) == [role.id]
    shows(py.organization_roles.delete(organization_role_id=role.id), id=role.id, deleted=True)
    shows(py.organization_permissions.delete(permission_id=read.id), id=read.id, deleted=True)


def invitations_to_organizations(py: Python) -> None:
    ada = person(py).id
    acme, address = organization(py, created_by=ada).id, new_address("guest")
    wish = {"organization_id": acme, "inviter_user_id": ada, "email_address": address, "role": "org:member"}
    made = py.organization_invitations.create(**wish, public_metadata={"team": "a"})
    shows(made, email_address=address, role="org:member", organization_id=acme, status="pending")
    shows(made, public_metadata={"team": "a"}, inviter_id=ada)
    one = {"organization_id": acme, "invitation_id": made.id}
    assert py.organization_invitations.get(**one).id == made.id
    assert ids(py.organization_invitations.list(organization_id=acme, status="pending").data) == [made.id]
    assert ids(py.organization_invitations.list_pending(organization_id=acme).data) == [made.id]
    everywhere = py.organization_invitations.get_all(query=address)
    assert ids(everywhere.data) == [made.id]
    guest = py.users.create(email_address=[address], skip_password_requirement=True).id
    (own,) = py.users.get_organization_invitations(user_id=guest, status="pending").data
    assert (own.id, own.public_organization_data.id) == (made.id, acme)
    shows(py.organization_invitations.revoke(**one), id=made.id, status="revoked")
    several = [{"email_address": new_address("guest"), "role": "org:member"} for _ in range(2)]
    many = py.organization_invitations.bulk_create(organization_id=acme, request_body=several)
    assert [one.email_address for one in many.data] == [one["email_address"] for one in several]


def logos(py: Python) -> None:
    acme = organization(py).id
    picture = {"file_name": "logo.png", "content": PNG, "content_type": "image/png"}
    shows(py.organizations.upload_logo(organization_id=acme, file=picture), id=acme, has_image=True)
    shows(py.organizations.delete_logo(organization_id=acme), id=acme, has_image=False)


def domains(py: Python) -> None:
    modes = ["manual_invitation", "automatic_suggestion"]
    py.instance_settings.update_organization_settings(
        request={"domains_enabled": True, "domains_enrollment_modes": modes}
    )
    acme, name = organization(py).id, f"{new_name('acme')}.example"
    wish = {"name": name, "enrollment_mode": "manual_invitation", "verified": False}
    made = py.organization_domains.create(organization_id=acme, **wish)
    shows(made, name=name, organization_id=acme, enrollment_mode="manual_invitation")
    one = {"organization_id": acme, "domain_id": made.id}
    assert ids(py.organization_domains.list(organization_id=acme).data) == [made.id]
    assert ids(py.organization_domains.list_all(query=name).data) == [made.id]
    proved = py.organization_domains.verify_ownership(**one)
    assert proved.verification.status == "verified"
    changed = py.organization_domains.update(**one, enrollment_mode="automatic_suggestion")
    shows(changed, id=made.id, enrollment_mode="automatic_suggestion")
    shows(py.organization_domains.delete(**one), id=made.id, deleted=True)


ORGANIZATIONS = (organizations, memberships, roles, invitations_to_organizations, logos, domains)

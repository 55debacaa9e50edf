"""What `clerk-backend-api` is asked about the instance and about programs: machines, keys, applications, settings."""

from __future__ import annotations

from typing import Any

from tests.identity.conftest import claims_of
from tests.sdk_clients.python_people import NOT_FOUND, person
from tests.sdk_clients.python_sdk import Python, raised, refused, refused_otherwise
from tests.sdk_clients.seen import PNG, ids, new_address, new_name, shows
from tests.sdk_clients.visitor import REDIRECT


def machine(py: Python, **members: Any) -> Any:
    return py.machines.create(request={"name": new_name("machine"), **members})


def machines(py: Python) -> None:
    target, name = machine(py), new_name("orders")
    made = py.machines.create(
        request={"name": name, "scoped_machines": [target.id], "default_token_ttl": 120}
    )
    shows(made, name=name, default_token_ttl=120)
    assert ids(made.scoped_machines) == [target.id]
    assert ids(py.machines.get(machine_id=made.id).scoped_machines) == [target.id]
    shows(py.machines.get_secret_key(machine_id=made.id), secret=made.secret_key)
    listed = py.machines.list(query=name, order_by="+name")
    assert (ids(listed.data), listed.total_count) == ([made.id], 1)
    shows(py.machines.update(machine_id=made.id, name=f"{name}-2"), name=f"{name}-2", default_token_ttl=120)
    fresh = py.machines.rotate_secret_key(machine_id=made.id, previous_token_ttl=0).secret
    assert fresh not in ("", made.secret_key)
    scope = py.machines.create_scope(machine_id=target.id, to_machine_id=made.id)
    shows(scope, from_machine_id=target.id, to_machine_id=made.id)
    twice = refused(py.machines.create_scope, machine_id=target.id, to_machine_id=made.id)
    assert twice[0] == 409
    shows(py.machines.delete_scope(machine_id=target.id, other_machine_id=made.id), DELETED=True)
    shows(py.machines.delete(machine_id=made.id), id=made.id, DELETED=True)
    assert refused(py.machines.get, machine_id=made.id) == (404, "machine_not_found")


def m2m_tokens(py: Python) -> None:
    receiver, stranger = machine(py), machine(py)
    sender = machine(py, scoped_machines=[receiver.id])
    own, claims = py.by(sender.secret_key), {"job": {"camelCase": [1, {"x": None}]}}
    made = own.m2m.create_token(claims=claims, seconds_until_expiration=3600)
    shows(made, subject=sender.id, scopes=[receiver.id], claims=claims, revoked=False, expired=False)
    assert made.expiration == made.created_at + 3_600_000
    for key in (receiver.secret_key, None):
        verifier = py if key is None else py.by(key)
        shows(verifier.m2m.verify_token(token=made.token), id=made.id, subject=sender.id, claims=claims)
    outside = refused_otherwise(py.by(stranger.secret_key).m2m.verify_token, token=made.token)
    assert outside == NOT_FOUND
    assert refused_otherwise(py.m2m.create_token) == (401, "machine_secret_key_invalid")
    listed = own.m2m.list_tokens(subject=sender.id)
    assert (ids(listed.m2m_tokens), listed.total_count) == ([made.id], 1)
    shows(own.m2m.revoke_token(m2m_token_id=made.id, revocation_reason="done"), revoked=True)
    assert refused_otherwise(own.m2m.verify_token, token=made.token) == NOT_FOUND
    assert py.m2m.list_tokens(subject=sender.id).total_count == 0
    jwt = own.m2m.create_token(token_format="jwt", claims={"team": "billing"})
    shows(claims_of(jwt.token), sub=sender.id, jti=jwt.id, team="billing")


def api_keys(py: Python) -> None:
    ada = person(py).id
    made = py.api_keys.create_api_key(
        name="ci key", subject=ada, scopes=["read"], claims={"a": {"bC": 1}}, seconds_until_expiration=3600
    )
    shows(made, name="ci key", subject=ada, scopes=["read"], claims={"a": {"bC": 1}}, revoked=False)
    shows(py.api_keys.get_api_key_secret(api_key_id=made.id), secret=made.secret)
    shows(py.api_keys.verify_api_key(secret=made.secret), id=made.id, subject=ada)
    assert py.api_keys.get_api_key(api_key_id=made.id).last_used_at >= made.created_at
    changed = py.api_keys.update_api_key(api_key_id=made.id, subject=ada, scopes=["read", "write"])
    shows(changed, scopes=["read", "write"])
    shows(py.api_keys.revoke_api_key(api_key_id=made.id, revocation_reason="leaked"), revoked=True)
    assert refused_otherwise(py.api_keys.verify_api_key, secret=made.secret) == NOT_FOUND
    assert py.api_keys.get_api_keys(subject=ada).total_count == 0
    assert ids(py.api_keys.get_api_keys(subject=ada, include_invalid="true").data) == [made.id]
    shows(py.api_keys.delete_api_key(api_key_id=made.id), id=made.id, DELETED=True)


def oauth_applications(py: Python) -> None:
    name = new_name("Shop")
    made = py.oauth_applications.create(
        request={"name": name, "redirect_uris": [REDIRECT], "scopes": "profile email"}
    )
    shows(made, name=name, public=False, redirect_uris=[REDIRECT], scopes="profile email")
    assert made.client_secret
    assert py.oauth_applications.get(oauth_application_id=made.id).client_id == made.client_id
    assert ids(py.oauth_applications.list(name_query=name).data) == [made.id]
    changed = py.oauth_applications.update(oauth_application_id=made.id, name=f"{name} 2")
    shows(changed, name=f"{name} 2", redirect_uris=[REDIRECT])
    picture = {"file_name": "logo.png", "content": PNG, "content_type": "image/png"}
    with_logo = py.oauth_applications.upload_logo(oauth_application_id=made.id, file=picture)
    assert "/images/" in with_logo.client_image_url
    fresh = py.oauth_applications.rotate_secret(oauth_application_id=made.id).client_secret
    assert fresh not in ("", made.client_secret)
    unknown = raised(py.oauth_applications.revoke_token, oauth_application_id=made.id, token="oat_none")
    assert unknown.status_code in (400, 404)
    assert refused_otherwise(py.oauth_access_tokens.verify, access_token="oat_none") == NOT_FOUND
    shows(py.oauth_applications.delete(oauth_application_id=made.id), id=made.id, deleted=True)


def settings(py: Python) -> None:
    shows(py.instance_settings.get(), object="instance", environment_type="development")
    assert py.instance_settings.update(request={"allowed_origins": ["https://app.example.com"]}) is None
    shows(py.instance_settings.get(), allowed_origins=["https://app.example.com"])
    assert py.instance_settings.update(request={"allowed_origins": []}) is None
    calm = py.instance_settings.update_restrictions(request={"block_email_subaddresses": False})
    shows(calm, allowlist=False, blocklist=False, block_email_subaddresses=False)
    shows(py.instance_settings.get_organization_settings(), enabled=True, creator_role="org:admin")
    shows(py.instance_settings.update_organization_settings(request={"enabled": True}), enabled=True)
    url = f"https://{new_name('app')}.example.com/cb"
    made = py.redirect_urls.create(request={"url": url})
    shows(made, url=url)
    assert py.redirect_urls.get(id=made.id) == made
    assert made.id in ids(py.redirect_urls.list(limit=500))
    assert refused(py.redirect_urls.create, request={"url": url})[0] == 400
    shows(py.redirect_urls.delete(id=made.id), id=made.id, deleted=True)
    (domain,) = py.domains.list().data
    shows(domain, is_satellite=False)
    assert refused(py.domains.delete, domain_id=domain.id)[0] == 403
    satellite = refused_otherwise(
        py.domains.add, request={"name": "satellite.example.com", "is_satellite": True}
    )
    assert satellite == (403, "feature_not_implemented")
    for call in (py.webhooks.create_svix_app, py.webhooks.generate_svix_auth_url):
        assert call().svix_url.endswith("/admin/webhooks")
    assert refused(py.webhooks.delete_svix_app) == (400, "svix_app_missing")
    for key in py.jwks.get_jwks().keys:
        shows(key, use="sig", kty="RSA", alg="RS256")


def lists(py: Python) -> None:
    friend, enemy = new_address("friend"), new_address("enemy")
    allowed = py.allowlist_identifiers.create(request={"identifier": friend})
    shows(allowed, identifier=friend, identifier_type="email_address")
    assert refused(py.allowlist_identifiers.create, request={"identifier": friend}) == (
        400,
        "duplicate_record",
    )
    assert allowed.id in ids(py.allowlist_identifiers.list(limit=500))
    shows(py.allowlist_identifiers.delete(identifier_id=allowed.id), id=allowed.id, deleted=True)
    blocked = py.blocklist_identifiers.create(request={"identifier": enemy})
    shows(blocked, identifier=enemy, identifier_type="email_address")
    assert blocked.id in ids(py.blocklist_identifiers.list().data)
    shows(py.blocklist_identifiers.delete(identifier_id=blocked.id), id=blocked.id, deleted=True)


def templates(py: Python) -> None:
    name = new_name("hasura")
    made = py.jwt_templates.create(request={"name": name, "claims": {"aud": "api"}, "lifetime": 90})
    shows(made, name=name, lifetime=90, allowed_clock_skew=5, signing_algorithm="RS256")
    assert py.jwt_templates.get(template_id=made.id) == made
    assert made.id in ids(py.jwt_templates.list(limit=500))
    changed = py.jwt_templates.update(template_id=made.id, name=name, claims={"x": 1}, lifetime=60)
    shows(changed, name=name, lifetime=60)
    shows(py.jwt_templates.delete(template_id=made.id), id=made.id, deleted=True)


INSTANCE = (machines, m2m_tokens, api_keys, oauth_applications, settings, lists, templates)

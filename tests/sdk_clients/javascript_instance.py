"""What `@clerk/backend` is asked about the instance: settings, lists, addresses, templates, keys; and what it has not."""

from __future__ import annotations

from tests.identity.conftest import claims_of, header_of
from tests.sdk_clients.javascript import JavaScript
from tests.sdk_clients.javascript_people import person
from tests.sdk_clients.seen import ids, new_address, new_name, shows


def instance(js: JavaScript) -> None:
    assert js("instance.update", {"allowedOrigins": ["https://app.example.com"]}) is None
    shows(js("instance.get"), environmentType="development", allowedOrigins=["https://app.example.com"])
    bad = js.refused("instance.update", {"allowedOrigins": ["not an origin"]})
    assert bad == (422, "form_invalid_origin")
    assert js("instance.update", {"allowedOrigins": []}) is None
    shows(js("instance.updateRestrictions", {"blockEmailSubaddresses": True}), blockEmailSubaddresses=True)
    calm = js("instance.updateRestrictions", {"blockEmailSubaddresses": False})
    shows(
        calm,
        allowlist=False,
        blocklist=False,
        blockEmailSubaddresses=False,
        blockDisposableEmailDomains=False,
    )
    shows(js("instance.updateOrganizationSettings", {"maxAllowedMemberships": 9}), maxAllowedMemberships=9)
    shows(
        js("instance.getOrganizationSettings"), enabled=True, maxAllowedMemberships=9, creatorRole="org:admin"
    )
    js("instance.updateOrganizationSettings", {"maxAllowedMemberships": 5})
    production = js.refused("betaFeatures.changeDomain", {"homeUrl": "https://example.com"})
    assert production[0] in (400, 403, 404)


def lists(js: JavaScript) -> None:
    friend, enemy = new_address("friend"), new_address("enemy")
    allowed = js("allowlistIdentifiers.createAllowlistIdentifier", {"identifier": friend, "notify": False})
    shows(allowed, identifier=friend, identifierType="email_address")
    again = js.refused(
        "allowlistIdentifiers.createAllowlistIdentifier", {"identifier": friend, "notify": False}
    )
    assert again == (400, "duplicate_record")
    assert allowed["id"] in ids(js("allowlistIdentifiers.getAllowlistIdentifierList", {"limit": 500})["data"])
    shows(js("allowlistIdentifiers.deleteAllowlistIdentifier", allowed["id"]), id=allowed["id"], deleted=True)
    blocked = js("blocklistIdentifiers.createBlocklistIdentifier", {"identifier": enemy})
    shows(blocked, identifier=enemy, identifierType="email_address")
    assert blocked["id"] in ids(js("blocklistIdentifiers.getBlocklistIdentifierList", {"limit": 500})["data"])
    shows(js("blocklistIdentifiers.deleteBlocklistIdentifier", blocked["id"]), id=blocked["id"], deleted=True)


def addresses_of_the_instance(js: JavaScript) -> None:
    url = f"https://{new_name('app')}.example.com/cb"
    made = js("redirectUrls.createRedirectUrl", {"url": url})
    shows(made, url=url)
    assert js("redirectUrls.getRedirectUrl", made["id"]) == made
    assert js.refused("redirectUrls.createRedirectUrl", {"url": url})[0] == 400
    assert made["id"] in ids(js("redirectUrls.getRedirectUrlList")["data"])
    shows(js("redirectUrls.deleteRedirectUrl", made["id"]), id=made["id"], deleted=True)
    (domain,) = js("domains.list")["data"]
    shows(domain, isSatellite=False)
    assert js.refused("domains.deleteDomain", domain["id"])[0] == 403
    assert js.refused("domains.delete", domain["id"])[0] == 403
    satellite = js.refused("domains.add", {"name": "satellite.example.com", "is_satellite": True})
    assert satellite == (403, "feature_not_implemented")
    assert 400 <= js.refused("domains.update", {"domainId": domain["id"], "name": "x.example.com"})[0] < 500


def templates(js: JavaScript) -> None:
    name = new_name("hasura")
    claims = {"aud": "api", "who": "{{user.id}}", "first": "{{user.first_name || 'nobody'}}"}
    made = js("jwtTemplates.create", {"name": name, "claims": claims, "lifetime": 90, "allowedClockSkew": 3})
    shows(made, name=name, claims=claims, lifetime=90, allowedClockSkew=3, customSigningKey=False)
    shows(made, signingAlgorithm="RS256")
    assert js("jwtTemplates.get", made["id"]) == made
    assert made["id"] in ids(js("jwtTemplates.list", {"limit": 500})["data"])
    ada = person(js)["id"]
    session = js("sessions.createSession", {"userId": ada})["id"]
    token = js("sessions.getToken", session, name)["jwt"]
    seen = shows(claims_of(token), aud="api", who=ada, first="nobody")
    assert seen["exp"] - seen["iat"] == 90
    assert header_of(token)["cat"] == "cl_B7d4PD222AAA"
    update = {"templateId": made["id"], "name": name, "claims": {"x": "{{user.nothing}}"}, "lifetime": 60}
    shows(js("jwtTemplates.update", update), claims={"x": "{{user.nothing}}"}, lifetime=60)
    reserved = js.refused("jwtTemplates.create", {"name": new_name("bad"), "claims": {"sub": "x"}})
    assert reserved == (400, "jwt_template_reserved_claim")
    shows(js("jwtTemplates.delete", made["id"]), id=made["id"], deleted=True)


def webhooks(js: JavaScript) -> None:
    for call in ("webhooks.createSvixApp", "webhooks.generateSvixAuthURL"):
        assert js(call)["svix_url"].endswith("/admin/webhooks")
    assert js.refused("webhooks.deleteSvixApp") == (400, "svix_app_missing")


def keys(js: JavaScript) -> None:
    for key in js("jwks.getJwks")["keys"]:
        shows(key, use="sig", kty="RSA", alg="RS256", e="AQAB")
        assert key["kid"].startswith("ins_")


_MAIL = {"to": {"address": "a@b.example"}, "from": {"address": "c@d.example"}, "text": "x"}

#: Every method that is left, with something to ask: what is not offered says so, as an error of the caller's.
NOT_OFFERED = {
    "agentTasks.create": [{"onBehalfOf": {"userId": "user_x"}, "permissions": "*"}],
    "agentTasks.revoke": ["task_x"],
    "billing.cancelSubscriptionItem": ["csi_x"],
    "billing.extendSubscriptionItemFreeTrial": ["csi_x", {"extendTo": "2030-01-01T00:00:00Z"}],
    "billing.getOrganizationBillingSubscription": ["org_x"],
    "billing.getPlanList": [],
    "billing.getUserBillingSubscription": ["user_x"],
    "emails.create": [_MAIL],
    "emails.createBatch": [[_MAIL]],
    "emails.get": ["ema_x"],
    "enterpriseConnections.createEnterpriseConnection": [{"name": "x"}],
    "enterpriseConnections.deleteEnterpriseConnection": ["ent_x"],
    "enterpriseConnections.getEnterpriseConnection": ["ent_x"],
    "enterpriseConnections.getEnterpriseConnectionList": [],
    "enterpriseConnections.updateEnterpriseConnection": ["ent_x", {"name": "x"}],
    "invitations.deleteInvitation": ["inv_x"],
    "proxyChecks.verify": [{"domainId": "dmn_x", "proxyUrl": "https://a.example"}],
    "roleSets.addRolesToRoleSet": [{"roleSetKeyOrId": "role_set:x", "roleKeys": ["org:admin"]}],
    "roleSets.createRoleSet": [
        {"name": "x", "roles": [], "defaultRoleKey": "org:member", "creatorRoleKey": "org:admin"}
    ],
    "roleSets.getRoleSet": ["role_set:x"],
    "roleSets.getRoleSetList": [],
    "roleSets.replaceRoleInRoleSet": [
        {"roleSetKeyOrId": "role_set:x", "roleKey": "org:a", "toRoleKey": "org:b"}
    ],
    "roleSets.replaceRoleSet": [{"roleSetKeyOrId": "role_set:x", "destRoleSetKey": "role_set:y"}],
    "roleSets.updateRoleSet": [{"roleSetKeyOrId": "role_set:x", "name": "y"}],
    "samlConnections.createSamlConnection": [{"name": "x", "provider": "saml_custom"}],
    "samlConnections.deleteSamlConnection": ["samlc_x"],
    "samlConnections.getSamlConnection": ["samlc_x"],
    "samlConnections.getSamlConnectionList": [],
    "samlConnections.updateSamlConnection": ["samlc_x", {"name": "x"}],
    "signUps.get": ["sua_x"],
    "signUps.update": [{"signUpAttemptId": "sua_x", "externalId": "x"}],
    "users.deleteUserExternalAccount": [{"userId": "user_x", "externalAccountId": "eac_x"}],
    "users.deleteUserPasskey": [{"userId": "user_x", "passkeyIdentificationId": "idn_x"}],
    "users.deleteUserWeb3Wallet": [{"userId": "user_x", "web3WalletIdentificationId": "idn_x"}],
}


def what_is_not_offered(js: JavaScript) -> None:
    answers = {call: js.refused(call, *args) for call, args in NOT_OFFERED.items()}
    honest = {(404, "resource_not_found"), (403, "feature_not_implemented")}
    assert {call: answer for call, answer in answers.items() if answer not in honest} == {}


INSTANCE = (instance, lists, addresses_of_the_instance, templates, webhooks, keys, what_is_not_offered)

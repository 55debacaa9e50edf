"""What `@clerk/backend` is asked about programs: machines, their tokens, API keys, OAuth applications."""

from __future__ import annotations

from typing import Any

from tests.identity.conftest import claims_of, header_of
from tests.sdk_clients.javascript import JavaScript
from tests.sdk_clients.javascript_organizations import organization
from tests.sdk_clients.javascript_people import person
from tests.sdk_clients.seen import ids, new_name, shows
from tests.sdk_clients.visitor import REDIRECT

NOT_FOUND = (404, "resource_not_found")


def machine(js: JavaScript, **members: Any) -> Any:
    return js("machines.create", {"name": new_name("machine"), **members})


def key_of(machine: Any) -> dict[str, str]:
    """A client that speaks for the machine."""
    return {"machineSecretKey": machine["secretKey"]}


def machines(js: JavaScript) -> None:
    target, name = machine(js), new_name("orders")
    made = js("machines.create", {"name": name, "scopedMachines": [target["id"]], "defaultTokenTtl": 120})
    shows(made, name=name, defaultTokenTtl=120)
    assert made["secretKey"].startswith("ak_")
    assert ids(made["scopedMachines"]) == [target["id"]]
    shows(target, scopedMachines=[], defaultTokenTtl=3600)
    shows(js("machines.get", made["id"]), name=name, defaultTokenTtl=120)
    shows(js("machines.getSecretKey", made["id"]), secret=made["secretKey"])
    listed = js("machines.list", {"query": name, "orderBy": "+name"})
    assert (ids(listed["data"]), listed["totalCount"]) == ([made["id"]], 1)
    shows(
        js("machines.update", {"machineId": made["id"], "name": f"{name}-2", "defaultTokenTtl": 60}),
        name=f"{name}-2",
    )
    fresh = js("machines.rotateSecretKey", {"machineId": made["id"], "previousTokenTtl": 0})["secret"]
    assert fresh not in ("", made["secretKey"])
    assert js.refused("m2m.createToken", by=key_of(made)) == (401, "machine_secret_key_invalid")
    assert js("m2m.createToken", by={"machineSecretKey": fresh})["subject"] == made["id"]
    too_long = {"machineId": made["id"], "previousTokenTtl": 28_801}
    assert js.refused("machines.rotateSecretKey", too_long)[0] == 422
    scope = js("machines.createScope", target["id"], made["id"])
    shows(scope, fromMachineId=target["id"], toMachineId=made["id"])
    assert js.refused("machines.createScope", target["id"], made["id"])[0] == 409
    shows(js("machines.deleteScope", target["id"], made["id"]), deleted=True)
    shows(js("machines.delete", made["id"]), id=made["id"], deleted=True)
    assert js.refused("machines.get", made["id"]) == (404, "machine_not_found")
    assert js.refused("machines.create", {"name": ""})[0] == 422


def m2m_tokens(js: JavaScript) -> None:
    receiver, stranger = machine(js), machine(js)
    sender = machine(js, scopedMachines=[receiver["id"]])
    claims = {"job": {"camelCase": [1, {"x": None}]}}
    made = js("m2m.createToken", {"claims": claims, "secondsUntilExpiration": 300}, by=key_of(sender))
    shows(made, subject=sender["id"], scopes=[receiver["id"]], claims=claims, revoked=False, expired=False)
    assert made["token"].startswith("mt_")
    for by in (key_of(receiver), js.by):
        shows(
            js("m2m.verify", {"token": made["token"]}, by=by),
            id=made["id"],
            subject=sender["id"],
            claims=claims,
        )
    for token in (made["token"], "mt_none"):
        assert js.refused("m2m.verify", {"token": token}, by=key_of(stranger)) == NOT_FOUND
    assert js.refused("m2m.createToken") == (401, "machine_secret_key_invalid")
    per_call = {"machineSecretKey": stranger["secretKey"]}
    assert js("m2m.createToken", per_call, by=key_of(sender))["subject"] == stranger["id"]
    reusing = {"claims": claims, "minRemainingTtlSeconds": 240}
    same = js("m2m.createToken", reusing, by=key_of(sender))
    assert (same["id"], same["token"]) == (made["id"], made["token"])
    beyond = {"minRemainingTtlSeconds": 3600, "secondsUntilExpiration": 60}
    assert js.refused("m2m.createToken", beyond, by=key_of(sender)) == (400, "bad_request")
    listed = js("m2m.list", {"subject": sender["id"]}, by=key_of(sender))
    assert (ids(listed["data"]), listed["totalCount"]) == ([made["id"]], 1)
    assert "token" not in listed["data"][0]
    assert js.refused("m2m.list", {"subject": sender["id"]}, by=key_of(receiver))[0] == 403
    revoking = {"m2mTokenId": made["id"], "revocationReason": "done"}
    assert js.refused("m2m.revokeToken", revoking, by=key_of(receiver)) == NOT_FOUND
    shows(js("m2m.revokeToken", revoking, by=key_of(sender)), revoked=True, revocationReason="done")
    assert js.refused("m2m.verify", {"token": made["token"]}, by=key_of(receiver)) == NOT_FOUND
    assert js("m2m.list", {"subject": sender["id"]})["totalCount"] == 0
    assert ids(js("m2m.list", {"subject": sender["id"], "revoked": True})["data"]) == [made["id"]]


def m2m_jwts(js: JavaScript) -> None:
    sender = machine(js)
    wish = {"tokenFormat": "jwt", "claims": {"team": "billing"}, "secondsUntilExpiration": 600}
    made = js("m2m.createToken", wish, by=key_of(sender))
    shows(claims_of(made["token"]), sub=sender["id"], jti=made["id"], team="billing")
    assert header_of(made["token"])["cat"] == "cl_B7d4PD333AAA"
    seen = js("m2m.verify", {"token": made["token"]})
    shows(seen, id=made["id"], subject=sender["id"])
    assert js.asked in ([], ["GET /api/v1/jwks"])  # offline, but for the keys
    reserved = {"tokenFormat": "jwt", "claims": {"sub": "user_x"}}
    assert js.refused("m2m.createToken", reserved, by=key_of(sender)) == (400, "machine_token_reserved_claim")


def api_keys(js: JavaScript) -> None:
    ada = person(js)["id"]
    wish = {
        "name": "ci key",
        "subject": ada,
        "scopes": ["read"],
        "claims": {"a": {"bC": 1}},
        "createdBy": ada,
    }
    made = js("apiKeys.create", {**wish, "description": "for builds", "secondsUntilExpiration": 3600})
    shows(made, name="ci key", subject=ada, scopes=["read"], claims={"a": {"bC": 1}}, createdBy=ada)
    shows(made, description="for builds", revoked=False, lastUsedAt=None)
    assert made["secret"].startswith("ak_")
    shows(js("apiKeys.getSecret", made["id"]), secret=made["secret"])
    shows(js("apiKeys.verify", made["secret"]), id=made["id"], subject=ada)
    used = js("apiKeys.get", made["id"])
    assert used["lastUsedAt"] >= made["createdAt"]
    assert "secret" not in used
    changed = js("apiKeys.update", {"apiKeyId": made["id"], "subject": ada, "scopes": ["read", "write"]})
    shows(changed, scopes=["read", "write"], claims={"a": {"bC": 1}})
    shows(js("apiKeys.revoke", {"apiKeyId": made["id"], "revocationReason": "leaked"}), revoked=True)
    assert js.refused("apiKeys.verify", made["secret"]) == NOT_FOUND
    assert js("apiKeys.list", {"subject": ada})["totalCount"] == 0
    assert ids(js("apiKeys.list", {"subject": ada, "includeInvalid": True})["data"]) == [made["id"]]
    shows(js("apiKeys.delete", made["id"]), id=made["id"], deleted=True)
    assert js.refused("apiKeys.get", made["id"]) == NOT_FOUND
    acme = organization(js)["id"]
    shows(js("apiKeys.create", {"name": "acme key", "subject": acme}), subject=acme)


def oauth_applications(js: JavaScript) -> None:
    name = new_name("Shop")
    made = js(
        "oauthApplications.create", {"name": name, "redirectUris": [REDIRECT], "scopes": "profile email"}
    )
    shows(made, name=name, isPublic=False, redirectUris=[REDIRECT], scopes="profile email")
    assert made["clientSecret"]
    assert made["tokenFetchUrl"].endswith("/oauth/token")
    assert js("oauthApplications.get", made["id"])["clientId"] == made["clientId"]
    assert ids(js("oauthApplications.list", {"nameQuery": name, "orderBy": "-name"})["data"]) == [made["id"]]
    changed = js("oauthApplications.update", {"oauthApplicationId": made["id"], "name": f"{name} 2"})
    shows(changed, name=f"{name} 2", redirectUris=[REDIRECT])
    fresh = js("oauthApplications.rotateSecret", made["id"])["clientSecret"]
    assert fresh not in ("", made["clientSecret"])
    unknown = {"oauthApplicationId": made["id"], "token": "oat_none"}
    assert js.refused("oauthApplications.revokeToken", unknown)[0] in (400, 404)
    assert js.refused("idPOAuthAccessToken.verify", "oat_none") == NOT_FOUND
    phone = js("oauthApplications.create", {"name": name, "redirectUris": ["app:/cb"], "public": True})
    shows(phone, isPublic=True)
    shows(js("oauthApplications.delete", phone["id"]), id=phone["id"], deleted=True)
    assert js.refused("oauthApplications.get", phone["id"]) == NOT_FOUND


MACHINES = (machines, m2m_tokens, m2m_jwts, api_keys, oauth_applications)

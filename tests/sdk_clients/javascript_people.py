"""What `@clerk/backend` is asked about people: users, their addresses, sessions and browsers, and tickets."""

from __future__ import annotations

import base64
from typing import Any

import bcrypt

from tests.identity.conftest import claims_of, header_of
from tests.sdk_clients.javascript import JavaScript
from tests.sdk_clients.seen import PASSWORD, PNG, ids, new_address, new_name, new_number, shows


def person(js: JavaScript, **members: Any) -> Any:
    return js("users.createUser", {"emailAddress": [new_address()], "password": PASSWORD, **members})


def users(js: JavaScript) -> None:
    address, name = new_address(), new_name("ada").replace("-", "_")
    ada = js(
        "users.createUser",
        {
            "emailAddress": [address],
            "password": PASSWORD,
            "username": name,
            "firstName": "Ada",
            "lastName": "Lovelace",
            "externalId": name,
            "locale": "en-GB",
            "timezone": "Europe/London",
            "createdAt": "2020-02-02T20:20:20.000Z",
            "publicMetadata": {"plan": {"isPaid": True}},
            "privateMetadata": {"Note": "x"},
            "unsafeMetadata": {"theme": "dark"},
        },
    )
    shows(
        ada, firstName="Ada", lastName="Lovelace", username=name, externalId=name, banned=False, locked=False
    )
    shows(
        ada,
        locale="en-GB",
        timezone="Europe/London",
        createdAt=1580674820000,
        passwordEnabled=True,
        hasImage=False,
    )
    shows(ada, publicMetadata={"plan": {"isPaid": True}}, privateMetadata={"Note": "x"})
    shows(ada, unsafeMetadata={"theme": "dark"}, twoFactorEnabled=False, lastSignInAt=None)
    (email,) = ada["emailAddresses"]
    shows(email, emailAddress=address, id=ada["primaryEmailAddressId"], linkedTo=[])
    shows(email["verification"], status="verified", strategy="admin", attempts=None)
    assert js("users.getUser", ada["id"]) == ada
    assert js.refused("users.createUser", {"emailAddress": [address]}) == (422, "form_identifier_exists")
    assert js.refused("users.getUser", "user_none") == (404, "resource_not_found")
    changed = js(
        "users.updateUser", ada["id"], {"firstName": "Augusta", "timezone": "Europe/Rome", "username": ""}
    )
    shows(changed, firstName="Augusta", timezone="Europe/Rome", username=None, externalId=name)
    shows(js("users.deleteUser", ada["id"]), object="user", id=ada["id"], deleted=True)
    assert js.refused("users.deleteUser", ada["id"]) == (404, "resource_not_found")


def finding(js: JavaScript) -> None:
    family = new_name("Byron")
    one, two, three = (person(js, firstName=first, lastName=family) for first in ("Ada", "Bea", "Cy"))
    found = js("users.getUserList", {"query": family, "orderBy": "+created_at"})
    assert (ids(found["data"]), found["totalCount"]) == (ids([one, two, three]), 3)
    found = js("users.getUserList", {"query": family, "limit": 1, "offset": 1, "orderBy": "-first_name"})
    assert (ids(found["data"]), found["totalCount"]) == ([two["id"]], 3)
    found = js("users.getUserList", {"userId": [one["id"], three["id"]], "orderBy": "first_name"})
    assert ids(found["data"]) == [one["id"], three["id"]]
    addresses = [each["emailAddresses"][0]["emailAddress"] for each in (two, three)]
    assert js("users.getCount", {"emailAddress": addresses}) == 2
    assert js("users.getCount", {"query": new_name("nobody")}) == 0
    assert js("users.getUserList", {"userId": [f"-{one['id']}"], "query": family})["totalCount"] == 2


def metadata(js: JavaScript) -> None:
    ada = person(js, publicMetadata={"a": {"b": 1, "c": 2}}, privateMetadata={"keptAsIs": [1]})["id"]
    merged = js(
        "users.updateUserMetadata", ada, {"publicMetadata": {"a": {"b": None, "camelCase": {"d": 1}}}}
    )
    shows(merged, publicMetadata={"a": {"c": 2, "camelCase": {"d": 1}}}, privateMetadata={"keptAsIs": [1]})
    replaced = js("users.replaceUserMetadata", ada, {"publicMetadata": {}})
    shows(replaced, publicMetadata={}, privateMetadata={"keptAsIs": [1]})
    both = js("users.updateUser", ada, {"lastName": "King", "unsafeMetadata": {"x": None}})
    shows(both, lastName="King", unsafeMetadata={"x": None})
    assert len([asked for asked in js.asked if asked.startswith(("PATCH", "PUT"))]) == 2


def passwords(js: JavaScript) -> None:
    address = new_address("bob")
    digest = bcrypt.hashpw(b"imported", bcrypt.gensalt(4)).decode()
    bob = js(
        "users.createUser", {"emailAddress": [address], "passwordDigest": digest, "passwordHasher": "bcrypt"}
    )["id"]
    assert js("users.verifyPassword", {"userId": bob, "password": "imported"}) == {"verified": True}
    wrong = {"userId": bob, "password": "something else"}
    assert js.refused("users.verifyPassword", wrong) == (422, "incorrect_password")
    shows(js("users.removePassword", bob), passwordEnabled=False)
    assert js.refused("users.verifyPassword", wrong) == (400, "no_password_set")
    short = {"password": "short"}
    assert js.refused("users.updateUser", bob, short) == (422, "form_password_length_too_short")
    shows(js("users.updateUser", bob, {**short, "skipPasswordChecks": True}), passwordEnabled=True)
    for call in ("users.setPasswordCompromised", "users.unsetPasswordCompromised"):
        shows(js(call, bob), id=bob, passwordEnabled=True)
    nobody = {"emailAddress": [new_address()], "passwordDigest": "nonsense", "passwordHasher": "bcrypt"}
    assert js.refused("users.createUser", nobody) == (422, "form_password_digest_invalid_code")
    assert js.refused("users.verifyTOTP", {"userId": bob, "code": "123456"}) == (400, "totp_disabled")
    for removal in ("users.disableUserMFA", "users.deleteUserTOTP", "users.deleteUserBackupCodes"):
        assert js(removal, bob) == {"user_id": bob}


def bans_and_locks(js: JavaScript) -> None:
    ada = person(js)["id"]
    session = js("sessions.createSession", {"userId": ada})["id"]
    shows(js("users.banUser", ada), banned=True)
    assert js("sessions.getSession", session)["status"] != "active"
    shows(js("users.unbanUser", ada), banned=False)
    shows(js("users.lockUser", ada), locked=True)
    shows(js("users.unlockUser", ada), locked=False)
    shows(person(js, banned=True), banned=True)
    shows(person(js, locked=True), locked=True)


def pictures(js: JavaScript) -> None:
    ada = person(js)["id"]
    picture = {"file": base64.b64encode(PNG).decode()}
    shows(js("users.updateUserProfileImage", ada, picture), hasImage=True)
    shows(js("users.deleteUserProfileImage", ada), hasImage=False)
    assert js("users.getUserOauthAccessToken", ada, "google") == {"data": [], "totalCount": 0}


def addresses(js: JavaScript) -> None:
    ada, second = person(js), new_address("second")
    made = js("emailAddresses.createEmailAddress", {"userId": ada["id"], "emailAddress": second})
    shows(made, emailAddress=second, verification=None)
    assert js("emailAddresses.getEmailAddress", made["id"]) == made
    primary = js("emailAddresses.updateEmailAddress", made["id"], {"verified": True, "primary": True})
    shows(primary["verification"], status="verified", strategy="admin")
    assert js("users.getUser", ada["id"])["primaryEmailAddressId"] == made["id"]
    first = ada["primaryEmailAddressId"]
    shows(js("emailAddresses.deleteEmailAddress", first), id=first, object="email_address", deleted=True)
    last = js.refused("emailAddresses.deleteEmailAddress", made["id"])
    assert last == (400, "identification_deletion_failed")
    third = new_address("third")
    replaced = js("users.replaceUserEmailAddress", ada["id"], {"emailAddress": third})
    shows(replaced, emailAddress=third)
    assert ids(js("users.getUser", ada["id"])["emailAddresses"]) == [replaced["id"]]


def numbers(js: JavaScript) -> None:
    ada = person(js)["id"]
    one, two = new_number(), new_number()
    made = js("phoneNumbers.createPhoneNumber", {"userId": ada, "phoneNumber": one})
    shows(made, phoneNumber=one, reservedForSecondFactor=False, linkedTo=[])
    assert js("phoneNumbers.getPhoneNumber", made["id"]) == made
    js("phoneNumbers.updatePhoneNumber", made["id"], {"verified": True, "primary": True})
    shows(js("users.getUser", ada), primaryPhoneNumberId=made["id"])
    replaced = js("users.replaceUserPhoneNumber", ada, {"phoneNumber": two})
    shows(replaced, phoneNumber=two)
    shows(js("phoneNumbers.deletePhoneNumber", replaced["id"]), id=replaced["id"], deleted=True)
    assert js.refused("phoneNumbers.getPhoneNumber", made["id"]) == (404, "resource_not_found")


def sessions(js: JavaScript) -> None:
    ada = person(js)["id"]
    session = js("sessions.createSession", {"userId": ada})
    shows(session, userId=ada, status="active", actor=None)
    assert js("sessions.getSession", session["id"])["id"] == session["id"]
    listed = js("sessions.getSessionList", {"userId": ada})
    assert (ids(listed["data"]), listed["totalCount"]) == ([session["id"]], 1)
    assert js("sessions.getSessionList", {"userId": ada, "status": "revoked"})["totalCount"] == 0
    token = js("sessions.getToken", session["id"])["jwt"]
    shows(claims_of(token), sub=ada, sid=session["id"], v=2, sts="active")
    assert header_of(token)["cat"] == "cl_B7d4PD111AAA"
    assert js("sessions.verifySession", session["id"], token)["id"] == session["id"]
    longer = claims_of(js("sessions.getToken", session["id"], "", 300)["jwt"])
    assert longer["exp"] - longer["iat"] == 300
    assert js.refused("sessions.getToken", session["id"], "no-template") == (404, "resource_not_found")
    client = js("clients.getClient", session["clientId"])
    shows(client, id=session["clientId"], sessionIds=[session["id"]], lastActiveSessionId=session["id"])
    assert session["clientId"] in ids(js("clients.getClientList", {"limit": 100})["data"])
    assert js.refused("clients.verifyClient", "nonsense")[0] in (400, 404)
    assert js.refused("clients.getHandshakePayload", {"nonce": "none"})[0] == 404
    shows(js("sessions.revokeSession", session["id"]), status="revoked")
    assert js.refused("sessions.getToken", session["id"]) == (404, "resource_not_found")
    stale = {"expired_token": token, "refresh_token": "x", "request_origin": "https://app.example.com"}
    assert js.refused("sessions.refreshSession", session["id"], stale)[0] == 401
    assert js.refused("sessions.createSession", {"userId": "user_none"}) == (404, "resource_not_found")


def tickets(js: JavaScript) -> None:
    ada, bob = person(js)["id"], person(js)["id"]
    ticket = js("signInTokens.createSignInToken", {"userId": ada, "expiresInSeconds": 600})
    shows(ticket, userId=ada, status="pending")
    assert ticket["token"] in ticket["url"]
    shows(js("signInTokens.revokeSignInToken", ticket["id"]), status="revoked")
    again = js.refused("signInTokens.revokeSignInToken", ticket["id"])
    assert again == (400, "sign_in_token_cannot_be_revoked_code")
    acting = js("actorTokens.create", {"userId": ada, "actor": {"sub": bob}, "expiresInSeconds": 600})
    shows(acting, userId=ada, status="pending", actor={"sub": bob})
    shows(js("actorTokens.revoke", acting["id"]), status="revoked")
    assert js.refused("actorTokens.create", {"userId": ada, "actor": {}})[0] == 422
    testing = js("testingTokens.createTestingToken")
    assert testing["token"]
    assert testing["expires_at"] > 1_700_000_000


def invitations(js: JavaScript) -> None:
    address = new_address("guest")
    made = js("invitations.createInvitation", {"emailAddress": address, "publicMetadata": {"from": "ada"}})
    shows(made, emailAddress=address, status="pending", revoked=False, publicMetadata={"from": "ada"})
    assert "?ticket=" in made["url"]
    assert js.refused("invitations.createInvitation", {"emailAddress": address}) == (400, "duplicate_record")
    assert ids(js("invitations.getInvitationList", {"query": address})["data"]) == [made["id"]]
    shows(js("invitations.revokeInvitation", made["id"]), status="revoked", revoked=True)
    again = js.refused("invitations.revokeInvitation", made["id"])
    assert again == (400, "invitation_already_revoked")
    bulk = [{"emailAddress": new_address("guest")} for _ in range(3)]
    many = js("invitations.createInvitationBulk", bulk)
    assert [one["emailAddress"] for one in many] == [one["emailAddress"] for one in bulk]
    pending = js("invitations.getInvitationList", {"status": "pending", "limit": 500})
    assert set(ids(many)) <= set(ids(pending["data"]))


def waitlist(js: JavaScript) -> None:
    address = new_address("waiting")
    entry = js("waitlistEntries.create", {"emailAddress": address})
    shows(entry, emailAddress=address, status="pending", isLocked=False, invitation=None)
    assert js("waitlistEntries.create", {"emailAddress": address})["id"] == entry["id"]
    assert ids(js("waitlistEntries.list", {"query": address})["data"]) == [entry["id"]]
    invited = js("waitlistEntries.invite", entry["id"])
    shows(invited, status="invited")
    shows(invited["invitation"], emailAddress=address, status="pending")
    again = js.refused("waitlistEntries.invite", entry["id"])
    assert again == (409, "waitlist_entry_already_invited")
    two, three = js("waitlistEntries.createBulk", [{"emailAddress": new_address("w")} for _ in range(2)])
    shows(js("waitlistEntries.reject", two["id"]), status="rejected")
    shows(js("waitlistEntries.delete", three["id"]), id=three["id"], deleted=True)


PEOPLE = (
    users,
    finding,
    metadata,
    passwords,
    bans_and_locks,
    pictures,
    addresses,
    numbers,
    sessions,
    tickets,
    invitations,
    waitlist,
)

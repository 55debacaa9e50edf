"""What `clerk-backend-api` is asked about people: users, their addresses, sessions and browsers, tickets, invitations."""

from __future__ import annotations

from typing import Any

import bcrypt

from tests.identity.conftest import claims_of
from tests.sdk_clients.python_sdk import Python, refused, refused_otherwise
from tests.sdk_clients.seen import PASSWORD, PNG, ids, new_address, new_name, new_number, shows

NOT_FOUND = (404, "resource_not_found")


def person(py: Python, **members: Any) -> Any:
    given = {"email_address": [new_address()], "password": PASSWORD, **members}
    return py.users.create(**given)


def users(py: Python) -> None:
    address, name = new_address(), new_name("ada")
    ada = person(
        py,
        email_address=[address],
        first_name="Ada",
        external_id=name,
        public_metadata={"plan": {"isPaid": True}},
        private_metadata={"Note": "x"},
    )
    shows(ada, first_name="Ada", last_name=None, external_id=name, banned=False, locked=False, username=None)
    shows(ada, public_metadata={"plan": {"isPaid": True}}, private_metadata={"Note": "x"}, has_image=False)
    (email,) = ada.email_addresses
    shows(email, email_address=address, id=ada.primary_email_address_id)
    assert (email.verification.status, email.verification.strategy) == ("verified", "admin")
    assert py.users.get(user_id=ada.id) == ada
    changed = py.users.update(user_id=ada.id, first_name="Augusta", username=name.replace("-", "_"))
    shows(changed, first_name="Augusta", username=name.replace("-", "_"), external_id=name)
    assert refused(py.users.create, email_address=[address]) == (422, "form_identifier_exists")
    shows(py.users.delete(user_id=ada.id), object="user", id=ada.id, deleted=True)
    assert refused(py.users.get, user_id=ada.id) == NOT_FOUND


def finding(py: Python) -> None:
    family = new_name("Byron")
    one, two, three = (person(py, first_name=first, last_name=family) for first in ("Ada", "Bea", "Cy"))
    found = py.users.list(request={"query": family, "order_by": "+created_at"})
    assert ids(found) == ids([one, two, three])
    assert ids(py.users.list(request={"query": family, "limit": 1, "offset": 1})) == [two.id]
    assert ids(py.users.list(request={"user_id": [one.id, three.id], "order_by": "first_name"})) == [
        one.id,
        three.id,
    ]
    assert py.users.count(request={"query": family}).total_count == 3
    assert refused(py.users.list, request={"order_by": "nonsense"}) == (422, "form_param_value_invalid")


def metadata(py: Python) -> None:
    ada = person(py, public_metadata={"a": {"b": 1, "c": 2}}, private_metadata={"keptAsIs": [1]}).id
    merged = py.users.update_metadata(user_id=ada, public_metadata={"a": {"b": None, "camelCase": {"d": 1}}})
    shows(merged, public_metadata={"a": {"c": 2, "camelCase": {"d": 1}}}, private_metadata={"keptAsIs": [1]})
    shows(
        py.users.replace_metadata(user_id=ada, public_metadata={}),
        public_metadata={},
        private_metadata={"keptAsIs": [1]},
    )


def passwords(py: Python) -> None:
    digest = bcrypt.hashpw(b"imported", bcrypt.gensalt(4)).decode()
    bob = py.users.create(email_address=[new_address()], password_digest=digest, password_hasher="bcrypt").id
    assert py.users.verify_password(user_id=bob, password="imported").verified is True
    wrong = refused_otherwise(py.users.verify_password, user_id=bob, password="something else")
    assert wrong == (422, "incorrect_password")
    shows(py.users.remove_password(user_id=bob), password_enabled=False)
    assert refused_otherwise(py.users.verify_password, user_id=bob, password="x") == (400, "no_password_set")
    none = refused(py.users.set_password_compromised, user_id=bob)
    assert none == refused(py.users.unset_password_compromised, user_id=bob) == (400, "no_password_set")
    short = refused(py.users.update, user_id=bob, password="short")
    assert short == (422, "form_password_length_too_short")
    assert refused_otherwise(py.users.verify_totp, user_id=bob, code="123456") == (400, "totp_disabled")
    for removal in (py.users.disable_mfa, py.users.delete_totp, py.users.delete_backup_codes):
        shows(removal(user_id=bob), user_id=bob)
    passkey = refused(py.users.delete_passkey, user_id=bob, passkey_identification_id="idn_x")
    wallet = refused(py.users.delete_web3_wallet, user_id=bob, web3_wallet_identification_id="idn_x")
    account = refused(py.users.delete_external_account, user_id=bob, external_account_id="eac_x")
    assert passkey == wallet == account == (403, "feature_not_implemented")


def bans_and_locks(py: Python) -> None:
    ada, bob = person(py).id, person(py).id
    shows(py.users.ban(user_id=ada), banned=True)
    shows(py.users.unban(user_id=ada), banned=False)
    assert [one.banned for one in py.users.bulk_ban(user_ids=[ada, bob])] == [True, True]
    assert [one.banned for one in py.users.bulk_unban(user_ids=[ada, bob])] == [False, False]
    shows(py.users.lock(user_id=ada), locked=True)
    shows(py.users.unlock(user_id=ada), locked=False)
    picture = {"file_name": "me.png", "content": PNG, "content_type": "image/png"}
    shows(py.users.set_profile_image(user_id=ada, file=picture), has_image=True)
    shows(py.users.delete_profile_image(user_id=ada), has_image=False)
    assert py.users.get_o_auth_access_token(user_id=ada, provider="oauth_google") == []


def addresses(py: Python) -> None:
    ada, second = person(py), new_address("second")
    made = py.email_addresses.create(request={"user_id": ada.id, "email_address": second})
    shows(made, email_address=second, verification=None)
    assert py.email_addresses.get(email_address_id=made.id) == made
    prepared = py.email_addresses.prepare_verification(email_address_id=made.id)
    shows(prepared, status="unverified", strategy="email_code", attempts=0)
    tried = py.email_addresses.attempt_verification(
        email_address_id=made.id, verification_id=prepared.id, code="no code"
    )
    shows(tried, status="unverified", attempts=1)
    proved = py.email_addresses.update(email_address_id=made.id, verified=True, primary=True)
    assert proved.verification.status == "verified"
    shows(py.users.get(user_id=ada.id), primary_email_address_id=made.id)
    first = ada.primary_email_address_id
    shows(py.email_addresses.delete(email_address_id=first), id=first, deleted=True)
    last = refused(py.email_addresses.delete, email_address_id=made.id)
    assert last == (400, "identification_deletion_failed")
    third = new_address("third")
    replaced = py.email_addresses.replace_for_user(user_id=ada.id, email_address=third)
    shows(replaced, email_address=third)
    assert ids(py.users.get(user_id=ada.id).email_addresses) == [replaced.id]


def numbers(py: Python) -> None:
    ada = person(py).id
    one, two = new_number(), new_number()
    made = py.phone_numbers.create(request={"user_id": ada, "phone_number": one})
    shows(made, phone_number=one, reserved_for_second_factor=False)
    assert py.phone_numbers.get(phone_number_id=made.id) == made
    py.phone_numbers.update(phone_number_id=made.id, verified=True, primary=True)
    shows(py.users.get(user_id=ada), primary_phone_number_id=made.id)
    replaced = py.phone_numbers.replace_for_user(user_id=ada, phone_number=two)
    shows(replaced, phone_number=two)
    shows(py.phone_numbers.delete(phone_number_id=replaced.id), id=replaced.id, deleted=True)
    assert refused(py.phone_numbers.get, phone_number_id=made.id) == NOT_FOUND


def sessions(py: Python) -> None:
    ada = person(py).id
    session = py.sessions.create(request={"user_id": ada})
    shows(session, user_id=ada, status="active")
    assert py.sessions.get(session_id=session.id).id == session.id
    assert ids(py.sessions.list(user_id=ada)) == [session.id]
    assert py.sessions.list(user_id=ada, status="revoked") == []
    token = py.sessions.create_token(session_id=session.id).jwt
    shows(claims_of(token), sub=ada, sid=session.id, v=2, sts="active")
    longer = claims_of(py.sessions.create_token(session_id=session.id, expires_in_seconds=300).jwt)
    assert longer["exp"] - longer["iat"] == 300
    templated = py.sessions.create_token_from_template(session_id=session.id, template_name="t3-relay")
    shows(claims_of(templated.jwt), sub=ada, aud="t3-code-relay")
    assert session.id in ids(py.clients.get(client_id=session.client_id).sessions)
    assert session.client_id in ids(py.clients.list(limit=500))
    assert refused(py.clients.verify, request={"token": "nonsense"})[0] in (400, 404)
    shows(py.sessions.revoke(session_id=session.id), status="revoked")
    assert refused(py.sessions.create_token, session_id=session.id) == NOT_FOUND
    stale = {"expired_token": token, "refresh_token": "x", "request_origin": "https://app.example.com"}
    assert refused(py.sessions.refresh, session_id=session.id, **stale)[0] == 401


def tickets(py: Python) -> None:
    ada, bob = person(py).id, person(py).id
    ticket = py.sign_in_tokens.create(request={"user_id": ada, "expires_in_seconds": 600})
    shows(ticket, user_id=ada, status="pending")
    assert ticket.token in ticket.url
    shows(py.sign_in_tokens.revoke(sign_in_token_id=ticket.id), status="revoked")
    again = refused(py.sign_in_tokens.revoke, sign_in_token_id=ticket.id)
    assert again == (400, "sign_in_token_cannot_be_revoked_code")
    acting = py.actor_tokens.create(request={"user_id": ada, "actor": {"sub": bob}})
    shows(acting, user_id=ada, status="pending")
    shows(py.actor_tokens.revoke(actor_token_id=acting.id), status="revoked")
    testing = py.testing_tokens.create()
    shows(testing, object="testing_token")
    assert testing.expires_at > 1_700_000_000


def invitations(py: Python) -> None:
    address = new_address("guest")
    made = py.invitations.create(request={"email_address": address, "public_metadata": {"from": "ada"}})
    shows(made, email_address=address, status="pending", public_metadata={"from": "ada"})
    duplicate = refused(py.invitations.create, request={"email_address": address})
    assert duplicate == (400, "duplicate_record")
    assert ids(py.invitations.list(query=address)) == [made.id]
    shows(py.invitations.revoke(invitation_id=made.id), id=made.id, status="revoked")
    assert refused(py.invitations.revoke, invitation_id=made.id) == (400, "invitation_already_revoked")
    bulk = [{"email_address": new_address("guest")} for _ in range(3)]
    many = py.invitations.bulk_create(request=bulk)
    assert [one.email_address for one in many] == [one["email_address"] for one in bulk]


def waitlist(py: Python) -> None:
    address = new_address("waiting")
    entry = py.waitlist_entries.create(request={"email_address": address})
    shows(entry, email_address=address, status="pending")
    assert py.waitlist_entries.create(request={"email_address": address}).id == entry.id
    listed = py.waitlist_entries.list(query=address)
    assert (ids(listed.data), listed.total_count) == ([entry.id], 1)
    invited = py.waitlist_entries.invite(waitlist_entry_id=entry.id)
    shows(invited, status="invited")
    assert invited.invitation.email_address == address
    again = refused(py.waitlist_entries.invite, waitlist_entry_id=entry.id)
    assert again == (409, "waitlist_entry_already_invited")
    two, three = py.waitlist_entries.bulk_create(
        request=[{"email_address": new_address("w")} for _ in range(2)]
    )
    shows(py.waitlist_entries.reject(waitlist_entry_id=two.id), status="rejected")
    shows(py.waitlist_entries.delete(waitlist_entry_id=three.id), id=three.id, deleted=True)


PEOPLE = (
    users,
    finding,
    metadata,
    passwords,
    bans_and_locks,
    addresses,
    numbers,
    sessions,
    tickets,
    invitations,
    waitlist,
)

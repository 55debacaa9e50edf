"""Users' passwords, as a back end brings, checks, takes away and distrusts them."""

from __future__ import annotations

import pytest

from tests.identity.conftest import PASSWORD, error_codes
from tests.identity_backend_api.conftest import Backend
from tests.identity_backend_api.test_users import ADA, create

pytestmark = pytest.mark.anyio

#: What bcrypt makes of PASSWORD.
BCRYPT = "$2b$04$.t0GMYuqn03438NhJG.EhOpIh7lhPQK0ujNkMIxlb1jHWkyGS7aC6"


@pytest.mark.conformance("clerk-backend", 38, 43, 44)
async def test_a_password_is_verified(backend: Backend) -> None:
    with_digest = await create(backend, password_hasher="bcrypt", password_digest=BCRYPT)
    path = f"/users/{with_digest['id']}/verify_password"
    assert await backend.ask("POST", path, json={"password": PASSWORD}) == {"verified": True}
    assert await backend.ask("POST", path, json={"password": PASSWORD}) == {"verified": True}
    await backend.refused("POST", path, 422, "incorrect_password", json={"password": "another one"})
    without = await create(backend, "grace@example.com")
    path = f"/users/{without['id']}/verify_password"
    await backend.refused("POST", path, 400, "no_password_set", json={"password": PASSWORD})
    await backend.refused(
        "POST", "/users/user_none/verify_password", 404, "resource_not_found", json={"password": "x"}
    )


@pytest.mark.conformance("clerk-backend", 39)
async def test_a_digest_of_another_form_is_refused(backend: Backend) -> None:
    body = {"email_address": [ADA], "password_hasher": "bcrypt", "password_digest": "nonsense"}
    await backend.refused("POST", "/users", 422, "form_password_digest_invalid_code", json=body)


async def test_a_password_can_be_taken_away(backend: Backend) -> None:
    user = await create(backend, password=PASSWORD)
    assert user["password_enabled"]
    for _ in range(2):
        without = await backend.ask("POST", f"/users/{user['id']}/remove_password")
        assert not without["password_enabled"]


async def test_a_password_that_others_may_know_signs_nobody_in_until_a_new_one_is_chosen(
    backend: Backend,
) -> None:
    world, sign_ins = backend.world, "/v1/client/sign_ins"
    elsewhere = await world.signed_up("ada@example.com")
    path = f"/users/{await elsewhere.user_id()}/password"
    await backend.ask("POST", f"{path}/set_compromised")
    assert (await elsewhere.get("/v1/client"))["response"]["sessions"]
    form = {"identifier": "ada@example.com", "password": PASSWORD}
    refused = await world.browser().post(sign_ins, 422, **form)
    assert error_codes(refused) == ["form_password_compromised"]
    wrong = await world.browser().post(sign_ins, 422, **{**form, "password": "not the password"})
    assert error_codes(wrong) == ["form_password_or_identifier_incorrect"]
    await backend.ask("POST", f"{path}/unset_compromised")
    await world.browser().post(sign_ins, **form)
    await backend.ask("POST", f"{path}/set_compromised", json={"revoke_all_sessions": True})
    assert (await elsewhere.get("/v1/client"))["response"]["sessions"] == []

    browser = world.browser()
    one = f"{sign_ins}/{(await browser.post(sign_ins, identifier=form['identifier']))['response']['id']}"
    await browser.post(f"{one}/prepare_first_factor", strategy="reset_password_email_code")
    code = await world.code_for("ada@example.com")
    await browser.post(f"{one}/attempt_first_factor", strategy="reset_password_email_code", code=code)
    same = await browser.post(f"{one}/reset_password", 422, password=PASSWORD)
    assert error_codes(same) == ["form_password_compromised"]
    done = await browser.post(f"{one}/reset_password", password="another harbour, at dawn")
    assert done["response"]["status"] == "complete"
    await world.browser().sign_in("ada@example.com", "another harbour, at dawn")

    await backend.ask("POST", f"{path}/set_compromised")
    new = {"password": "a third harbour, at noon"}
    await backend.ask("PATCH", path.removesuffix("/password"), json=new)
    await world.browser().sign_in("ada@example.com", new["password"])


async def test_a_password_that_is_not_there_cannot_be_known_to_others(backend: Backend) -> None:
    made = await backend.ask("POST", "/users", json={"email_address": ["ada@example.com"]})
    for what in ("set", "unset"):
        path = f"/users/{made['id']}/password/{what}_compromised"
        await backend.refused("POST", path, 400, "no_password_set")
        await backend.refused(
            "POST", f"/users/user_none/password/{what}_compromised", 404, "resource_not_found"
        )

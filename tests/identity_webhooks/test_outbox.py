"""What is queued, for whom, and that it lives and dies with the change it tells of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from doorward.identity.webhooks import endpoints, outbox
from doorward.identity.webhooks.deliveries import Event
from doorward.identity.webhooks.endpoints import Endpoint
from doorward.store import Tx
from tests.identity.conftest import PASSWORD, World


async def endpoint(world: World, endpoint_id: str, *kinds: str, is_enabled: bool = True) -> str:
    now = world.clock()
    record = Endpoint(endpoint_id, "https://hooks.example.com/", "", kinds, is_enabled, None, None, now, now)
    await world.database.write(lambda tx: endpoints.insert(tx, record))
    return endpoint_id


async def events(world: World, endpoint_id: str) -> list[Event]:
    """What was queued for an endpoint."""
    rows = await world.database.read(
        lambda tx: tx.fetch_all(
            "SELECT e.id, e.kind, e.data, e.client_ip, e.user_agent, e.created_at FROM identity_webhook_events e"
            " JOIN identity_webhook_deliveries d ON d.event_id = e.id WHERE d.endpoint_id = ? ORDER BY e.created_at, e.kind",
            (endpoint_id,),
        )
    )
    return [Event(*row) for row in rows]


async def told(world: World, endpoint_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Kind and data of everything queued."""
    return [
        (event.kind, msgspec.json.decode(event.data, type=dict[str, Any]))
        for event in await events(world, endpoint_id)
    ]


async def kinds(world: World, endpoint_id: str) -> list[str]:
    return sorted(event.kind for event in await events(world, endpoint_id))


async def test_an_event_is_queued_for_each_enabled_endpoint_that_wants_it(world: World) -> None:
    every = await endpoint(world, "ep_every")
    some = await endpoint(world, "ep_some", "role.created")
    other = await endpoint(world, "ep_other", "role.deleted")
    off = await endpoint(world, "ep_off", is_enabled=False)

    def work(tx: Tx) -> str | None:
        return outbox.enqueue(tx, "role.created", {"object": "role", "id": "role_1"}, now=world.clock())

    event_id = await world.database.write(work)

    assert [event.id for event in await events(world, every)] == [event_id]
    assert [event.id for event in await events(world, some)] == [event_id]
    assert await events(world, other) == []
    assert await events(world, off) == []


async def test_where_nobody_listens_nothing_is_kept(world: World) -> None:
    assert (
        await world.database.write(lambda tx: outbox.enqueue(tx, "role.created", {}, now=world.clock()))
        is None
    )
    await world.signed_up()
    count = await world.database.read(lambda tx: tx.fetch_one("SELECT count(*) FROM identity_webhook_events"))
    assert count == (0,)


async def test_mail_is_told_only_to_who_names_it(world: World) -> None:
    every = await endpoint(world, "ep_every")
    named = await endpoint(world, "ep_named", "email.created")
    await world.database.write(lambda tx: outbox.enqueue(tx, "email.created", {}, now=world.clock()))
    assert await kinds(world, every) == []
    assert await kinds(world, named) == ["email.created"]


async def test_a_kind_that_does_not_exist_is_a_mistake_of_the_caller(world: World) -> None:
    with pytest.raises(ValueError, match=r"user\.exploded"):
        await world.database.write(
            lambda tx: outbox.enqueue(tx, "user.exploded", {}, now=world.clock())  # type: ignore[arg-type]
        )


async def test_what_is_rolled_back_is_told_to_nobody(world: World) -> None:
    every = await endpoint(world, "ep_every")

    def work(tx: Tx) -> None:
        outbox.enqueue(tx, "role.created", {}, now=world.clock())
        raise LookupError

    with pytest.raises(LookupError):
        await world.database.write(work)
    assert await events(world, every) == []


async def test_a_sign_up_is_told_as_a_user_and_a_session(world: World) -> None:
    every = await endpoint(world, "ep_every")
    browser = await world.signed_up("ada@example.com", first_name="Ada")
    user_id, session = await browser.user_id(), await browser.session()

    found = dict(await told(world, every))

    assert set(found) == {"user.created", "session.created"}
    assert found["user.created"]["id"] == user_id
    assert found["user.created"]["first_name"] == "Ada"
    assert found["user.created"]["email_addresses"][0]["email_address"] == "ada@example.com"
    assert found["session.created"]["id"] == session["id"]
    assert found["session.created"]["status"] == "active"
    assert found["session.created"]["user"]["id"] == user_id
    created = next(event for event in await events(world, every) if event.kind == "user.created")
    assert created.client_ip == "203.0.113.7"
    assert "Chrome" in created.user_agent


async def test_every_end_of_a_session_has_its_word(world: World) -> None:
    browser = await world.signed_up()
    every = await endpoint(world, "ep_every", "session.removed", "session.ended", "session.revoked")

    first = (await browser.session())["id"]
    await browser.post(f"/v1/client/sessions/{first}/end")
    await browser.sign_in("ada@example.com")
    second = (await browser.session())["id"]
    await browser.post(f"/v1/client/sessions/{second}/remove")
    await browser.sign_in("ada@example.com")
    third = await browser.session()
    await world.identity.accounts.ban(third["user"]["id"], actor="admin")

    found = await told(world, every)
    assert {(kind, data["id"], data["status"]) for kind, data in found} == {
        ("session.ended", first, "ended"),
        ("session.removed", second, "removed"),
        ("session.revoked", third["id"], "revoked"),
    }


async def test_a_session_that_ran_out_is_told_once(world: World) -> None:
    browser = await world.signed_up()
    session = await browser.session()
    every = await endpoint(world, "ep_every", "session.ended")
    world.clock.advance(world.identity.settings.session_idle_ms)
    for _ in range(2):
        await world.identity.forget_expired()
    [(kind, data)] = await told(world, every)
    assert (kind, data["id"], data["status"]) == ("session.ended", session["id"], "expired")


async def test_a_mail_is_told_without_what_it_opens(world: World) -> None:
    named = await endpoint(world, "ep_named", "email.created")
    browser = await world.signed_up("ada@example.com")
    session = await browser.session()
    await browser.post(
        f"/v1/me/change_password?_clerk_session_id={session['id']}",
        current_password=PASSWORD,
        new_password="another harbour at dawn",
    )
    await world.identity.mails.drain()
    found = {data["slug"]: data for _, data in await told(world, named)}
    assert set(found) == {"verification_code", "password_changed"}
    assert {data["to_email_address"] for data in found.values()} == {"ada@example.com"}
    code, changed = found["verification_code"], found["password_changed"]
    assert (code["subject"], code["body"], code["body_plain"]) == ("", "", "")
    assert "password" in changed["subject"]
    assert changed["delivered_by_clerk"] is True


async def test_changes_of_an_account_are_told_as_it_is_afterwards(world: World) -> None:
    browser = await world.signed_up()
    user_id = await browser.user_id()
    every = await endpoint(world, "ep_every", "user.updated")

    session = await browser.session()
    await browser.post(f"/v1/me?_method=PATCH&_clerk_session_id={session['id']}", first_name="Augusta")
    await world.identity.accounts.ban(user_id, actor="admin")
    await world.identity.accounts.unban(user_id, actor="admin")

    shown = [(data["first_name"], data["banned"]) for _, data in await told(world, every)]
    assert sorted(shown) == [("Augusta", False), ("Augusta", False), ("Augusta", True)]


@pytest.mark.conformance("clerk-backend", 197)
async def test_a_deleted_user_is_told_as_deleted_and_their_sessions_as_revoked(world: World) -> None:
    browser = await world.signed_up()
    user_id, session = await browser.user_id(), await browser.session()
    every = await endpoint(world, "ep_every", "user.deleted", "session.revoked")

    await browser.post(f"/v1/me?_method=DELETE&_clerk_session_id={session['id']}")

    found = dict(await told(world, every))
    assert found["user.deleted"] == {"object": "user", "id": user_id, "deleted": True}
    assert found["session.revoked"]["user"]["id"] == user_id

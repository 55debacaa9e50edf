"""Machines, keys, OAuth applications, templates and webhooks in the console: what its forms do, and what they refuse."""

import json
import re

import pytest

from doorward.identity.console.template_recipes import RECIPES
from doorward.identity.m2m_tokens import TokenWish
from doorward.identity.paging import Slice
from tests.identity_backend_api.test_recipes import TEMPLATES
from tests.identity_pages.visitors import Visitor
from tests.identity_pages.world import World

pytestmark = pytest.mark.anyio

ENDPOINT = "https://hooks.example.com/doorward"


def secret_in(text: str) -> str:
    """What a page shows once."""
    found = re.search(r'data-copy="([^"]+)"', text)
    assert found is not None, text
    return found[1]


async def made_at(visitor: Visitor, path: str, **fields: str) -> str:
    """Send a form that makes something and leads to it; its address."""
    answer = await visitor.post(path, **fields)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].partition("?")[0]


async def refused_at(visitor: Visitor, path: str, **fields: str) -> str:
    answer = await visitor.post(path, **fields)
    assert answer.status_code in (400, 403, 404, 409, 422), answer.text
    return answer.text


async def test_a_machine_is_made_connected_and_given_another_key(
    accounts: World, administrator: Visitor
) -> None:
    identity = accounts.identity
    other = (
        await identity.machines.create("Billing", scoped_machines=(), default_token_ttl=60, actor="test")
    ).detail.machine
    shown = await administrator.post(
        "/admin/machines/new", name=" Shop ", default_token_ttl="120", scoped_machines=other.id
    )
    secret = secret_in(shown.text)
    assert shown.headers["cache-control"] == "no-store"
    machine_id = await identity.machines.recognise(secret)
    assert machine_id is not None
    here = f"/admin/machines/{machine_id}"
    detail = await identity.machines.get(machine_id)
    assert (detail.machine.name, detail.machine.default_token_ttl) == ("Shop", 120)
    page = (await administrator.get(here)).text
    assert "Billing" in page
    assert secret not in page

    assert "already" in await refused_at(administrator, f"{here}/scopes/new", to_machine_id=other.id)
    assert await made_at(administrator, f"{here}/scopes/{other.id}/remove") == here
    assert (await identity.machines.get(machine_id)).scoped_machines == []
    assert await made_at(administrator, f"{here}/edit", name="Shop 2", default_token_ttl="60") == here

    second = secret_in((await administrator.post(f"{here}/secret", grace="none")).text)
    assert second != secret
    assert await identity.machines.recognise(secret) is None
    assert await identity.machines.recognise(second) == machine_id
    assert await made_at(administrator, f"{here}/delete") == "/admin/machines"
    assert await identity.machines.recognise(second) is None


async def test_a_token_is_revoked_by_its_own_machines_page_alone(
    accounts: World, administrator: Visitor
) -> None:
    identity = accounts.identity
    ids = []
    for name in ("Shop", "Billing"):
        made = await identity.machines.create(name, scoped_machines=(), default_token_ttl=60, actor="test")
        ids.append(made.detail.machine.id)
    shop, billing = ids
    token = await identity.m2m_tokens.create(shop, TokenWish())
    assert token.token.id in (await administrator.get(f"/admin/machines/{shop}")).text
    path = f"tokens/{token.token.id}/revoke"
    foreign = await administrator.post(f"/admin/machines/{billing}/{path}", revocation_reason="lost")
    assert foreign.status_code == 404
    too_long = await refused_at(administrator, f"/admin/machines/{shop}/{path}", revocation_reason="x" * 256)
    assert "revocation_reason-error" in too_long
    assert (await identity.m2m_tokens.verify(token.value, None)).id == token.token.id
    here = await made_at(administrator, f"/admin/machines/{shop}/{path}", revocation_reason="lost")
    assert here == f"/admin/machines/{shop}"
    assert "revoked: lost" in (await administrator.get(here)).text
    tokens, _ = await identity.m2m_tokens.page(
        shop, None, with_revoked=True, with_expired=False, limit=10, offset=0
    )
    assert [each.revocation_reason for each in tokens] == ["lost"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": " "}, "Fill this in"),
        ({"name": "x" * 256}, "Write at most 255 characters."),
        ({"default_token_ttl": "0"}, "whole number from 1"),
        ({"default_token_ttl": "soon"}, "whole number from 1"),
        ({"scoped_machines": "mch_nobody"}, "No machine"),
    ],
)
async def test_what_cannot_be_a_machine_makes_none(
    accounts: World, administrator: Visitor, fields: dict[str, str], told: str
) -> None:
    before = await count_of_machines(accounts)
    good = {"name": "Shop", "default_token_ttl": "60", "scoped_machines": ""}
    assert told in await refused_at(administrator, "/admin/machines/new", **(good | fields))
    assert await count_of_machines(accounts) == before


async def count_of_machines(accounts: World) -> int:
    _, total = await accounts.identity.machines.page(None, Slice(1, order="name", is_descending=False))
    return total


async def test_a_secret_key_works_until_it_is_ended(accounts: World, administrator: Visitor) -> None:
    secret = secret_in((await administrator.post("/admin/secret-keys/new", name="Shop")).text)
    key = await accounts.identity.secret_keys.recognise(secret)
    assert key is not None
    assert secret not in (await administrator.get("/admin/secret-keys")).text
    assert await made_at(administrator, f"/admin/secret-keys/{key.id}/end") == "/admin/secret-keys"
    assert await accounts.identity.secret_keys.recognise(secret) is None
    assert (await administrator.post(f"/admin/secret-keys/{key.id}/end")).status_code == 404


async def test_an_api_key_is_made_found_revoked_and_deleted(
    accounts: World, administrator: Visitor, somebody: str
) -> None:
    shown = await administrator.post(
        "/admin/api-keys/new", subject=somebody, name="Nightly", scopes="read\nwrite", lifetime="month"
    )
    key = await accounts.identity.api_keys.verify(secret_in(shown.text))
    assert (key.subject, key.scopes) == (somebody, ("read", "write"))
    assert key.expire_at is not None
    assert "Nightly" in (await administrator.get(f"/admin/api-keys?subject={somebody}")).text
    here = f"/admin/api-keys/{key.id}"
    assert "revocation_reason-error" in await refused_at(
        administrator, f"{here}/revoke", revocation_reason="x" * 256
    )
    assert (await accounts.identity.api_keys.get(key.id)).revoked_at is None
    assert await made_at(administrator, f"{here}/revoke", revocation_reason="lost") == here
    assert "lost" in (await administrator.get(here)).text
    assert "Nightly" not in (await administrator.get(f"/admin/api-keys?subject={somebody}")).text
    assert "Nightly" in (await administrator.get(f"/admin/api-keys?subject={somebody}&ended=true")).text
    assert await made_at(administrator, f"{here}/delete") == "/admin/api-keys"
    assert (await administrator.get(here)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"subject": "ada"}, "the id of a user"),
        ({"subject": "user_" + "0" * 27}, "none of this instance"),
        ({"name": "x"}, "at least 3"),
        ({"description": "x" * 256}, "description-error"),
        ({"lifetime": "ever"}, "Choose one of these."),
    ],
)
async def test_what_cannot_be_an_api_key_is_told_at_its_field(
    administrator: Visitor, somebody: str, fields: dict[str, str], told: str
) -> None:
    good = {"subject": somebody, "name": "Nightly", "scopes": "", "lifetime": "never"}
    assert told in await refused_at(administrator, "/admin/api-keys/new", **(good | fields))


async def test_an_application_gets_its_secret_once(accounts: World, administrator: Visitor) -> None:
    identity = accounts.identity
    fields = {"name": "Wiki", "redirect_uris": "https://wiki.example.com/callback", "scopes": "openid email"}
    shown = await administrator.post(
        "/admin/oauth-applications/new", **fields, is_consent_asked="true", has_opaque_tokens="true"
    )
    secret_in(shown.text)
    back = re.search(r"/admin/oauth-applications/(oauthapp_\w+)", shown.text)
    assert back is not None
    application = await identity.oauth_applications.get(back[1])
    assert application.client.has_opaque_tokens
    assert not application.client.is_pkce_required
    here = f"/admin/oauth-applications/{application.id}"
    assert "https://wiki.example.com/callback" in (await administrator.get(here)).text
    assert secret_in((await administrator.post(f"{here}/secret")).text) != secret_in(shown.text)
    assert await made_at(administrator, f"{here}/edit", **fields, is_public="true") == here
    assert (await identity.oauth_applications.get(application.id)).client.is_public
    assert (await administrator.post(f"{here}/secret")).status_code == 403
    assert "absolute URLs" in await refused_at(
        administrator, f"{here}/edit", **(fields | {"redirect_uris": "/callback"})
    )
    assert "is no scope" in await refused_at(administrator, f"{here}/edit", **(fields | {"scopes": "root"}))
    assert await made_at(administrator, f"{here}/delete") == "/admin/oauth-applications"


async def test_a_template_is_looked_at_before_it_is_saved(
    accounts: World, administrator: Visitor, somebody: str
) -> None:
    claims = json.dumps({"aud": "notes", "id": "{{user.id}}", "team": "{{user.public_metadata.team}}"})
    fields = {"name": "notes", "claims": claims, "lifetime": "60", "allowed_clock_skew": "5"}
    looked = await administrator.post("/admin/jwt-templates/new", **fields, user_id=somebody, step="preview")
    assert looked.status_code == 200
    assert somebody in looked.text
    assert "nothing was saved" in looked.text
    assert "claims.team" in looked.text
    templates, _ = await accounts.identity.templates.list(limit=100, offset=0)
    assert "notes" not in [each.name for each in templates]

    here = await made_at(administrator, "/admin/jwt-templates/new", **fields)
    own = {"signing_algorithm": "HS256", "signing_key": "a secret of thirty-two bytes or more"}
    assert await made_at(administrator, here, **fields, **own) == here
    page = await administrator.get(here)
    assert "as it is (HS256)" in page.text
    assert own["signing_key"] not in page.text
    wrong = await administrator.post(here, **(fields | {"name": ""}), **own)
    assert own["signing_key"] not in wrong.text
    assert await made_at(administrator, here, **fields, signing_algorithm="same") == here
    template = await accounts.identity.templates.get(here.rpartition("/")[2])
    assert template.sealed_signing_key is not None
    assert await made_at(administrator, here, **fields, signing_algorithm="") == here
    template = await accounts.identity.templates.get(template.id)
    assert (template.sealed_signing_key, template.signing_algorithm) == (None, "RS256")
    for changed, told in (
        ({"claims": "[]"}, "has to be an object"),
        ({"claims": '{"a": '}, "not JSON"),
        ({"claims": '{"sub": "x"}'}, "reserved claim"),
        ({"lifetime": "5"}, "whole number from 30"),
        ({"name": "two words"}, "name"),
        ({"signing_algorithm": "HS256"}, "signing_key-error"),
        ({"step": "preview", "user_id": "user_nobody"}, "No user"),
    ):
        assert told in await refused_at(administrator, here, **(fields | changed)), changed
    assert await made_at(administrator, f"{here}/delete") == "/admin/jwt-templates"


def test_the_recipes_are_those_of_the_guide() -> None:
    for name, recipe in RECIPES.items():
        assert TEMPLATES[name]["claims"] == recipe.claims
        assert TEMPLATES[name].get("lifetime", 60) == recipe.lifetime


async def test_an_endpoint_is_made_stopped_replayed_and_deleted(
    accounts: World, administrator: Visitor
) -> None:
    webhooks = accounts.identity.webhooks
    box = {"user.created": "true", "email.created": "true", "no.such": "true"}
    shown = await administrator.post("/admin/webhooks/new", url=ENDPOINT, description="Shop", **box)
    secret = secret_in(shown.text)
    assert secret.startswith("whsec_")
    (endpoint,) = [each for each in await webhooks.list_endpoints() if each.url == ENDPOINT]
    assert endpoint.kinds == ("user.created", "email.created")
    here = f"/admin/webhooks/{endpoint.id}"
    assert secret not in (await administrator.get(here)).text
    assert secret_in((await administrator.post(f"{here}/secret")).text) != secret

    assert await made_at(administrator, f"{here}/test") == here
    (logged,) = (await webhooks.list_deliveries(endpoint.id)).deliveries
    delivery = f"{here}/deliveries/{logged.delivery.id}"
    page = (await administrator.get(delivery)).text
    assert "webhook.test" in page
    assert endpoint.id in page
    assert logged.delivery.id in (await administrator.get(f"{here}?status=pending")).text
    assert logged.delivery.id not in (await administrator.get(f"{here}?status=failed")).text
    assert "webhook_delivery_pending" not in await refused_at(administrator, f"{delivery}/replay")
    assert await made_at(administrator, f"{here}/replay", since="week") == here
    assert "Choose one of these." in await refused_at(administrator, f"{here}/replay", since="ever")

    assert await made_at(administrator, f"{here}/edit", url=ENDPOINT, description="") == here
    assert (await webhooks.get(endpoint.id)).kinds == ()
    assert await made_at(administrator, f"{here}/disable") == here
    assert not (await webhooks.get(endpoint.id)).is_enabled
    assert (await administrator.post(f"{here}/test")).status_code in (400, 403, 422)
    assert await made_at(administrator, f"{here}/enable") == here
    assert await made_at(administrator, f"{here}/delete") == "/admin/webhooks"
    assert (await administrator.get(here)).status_code == 404


@pytest.mark.parametrize("url", ["", "ftp://x.example", "http://127.0.0.1/", "x"])
async def test_where_nothing_may_be_sent_is_told_at_the_url(administrator: Visitor, url: str) -> None:
    text = await refused_at(administrator, "/admin/webhooks/new", url=url)
    assert 'id="url-error"' in text


async def test_a_delivery_belongs_to_its_endpoint(accounts: World, administrator: Visitor) -> None:
    webhooks = accounts.identity.webhooks
    ids = []
    for _ in range(2):
        made = await webhooks.create(ENDPOINT, actor="test")
        await webhooks.send_test(made.endpoint.id, actor="test")
        (logged,) = (await webhooks.list_deliveries(made.endpoint.id)).deliveries
        ids.append((made.endpoint.id, logged.delivery.id))
    (first, _), (second, delivery) = ids
    assert (await administrator.get(f"/admin/webhooks/{second}/deliveries/{delivery}")).status_code == 200
    assert (await administrator.get(f"/admin/webhooks/{first}/deliveries/{delivery}")).status_code == 404
    assert (
        await administrator.post(f"/admin/webhooks/{first}/deliveries/{delivery}/replay")
    ).status_code == 404
    await webhooks.delete(first, actor="test")
    await webhooks.delete(second, actor="test")


async def test_every_secret_asks_for_a_recent_proof(accounts: World, administrator: Visitor) -> None:
    identity = accounts.identity
    machine = await identity.machines.create("x", scoped_machines=(), default_token_ttl=60, actor="test")
    endpoint = (await identity.webhooks.create(ENDPOINT, actor="test")).endpoint
    await identity.database.write(
        lambda tx: tx.execute("UPDATE identity_sessions SET verified_at = verified_at - 660000", ())
    )
    for path in (
        f"/admin/machines/{machine.detail.machine.id}/secret",
        f"/admin/machines/{machine.detail.machine.id}/delete",
        f"/admin/webhooks/{endpoint.id}/secret",
        "/admin/secret-keys/new",
        "/admin/api-keys/new",
    ):
        for answer in (await administrator.get(path), await administrator.post(path, name="x")):
            assert answer.headers["location"].startswith("/sign-in/confirm"), path
    await identity.webhooks.delete(endpoint.id, actor="test")

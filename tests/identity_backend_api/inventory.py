"""One of everything the Backend API knows, made by its own operations: so that a path can name what exists.

Whoever adds a collection makes one of it here; tests that walk every operation fail until then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import httpx

_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass
class Inventory:
    """Identifiers by the collection they are in: `/organizations/{}/memberships` holds a user's."""

    ids: dict[str, str] = field(default_factory=dict)
    #: What was shown once, when something was made.
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def parameters(self, path: str) -> dict[str, str]:
        """Values for the parameters of an operation's path."""
        values = {}
        for match in _PARAMETER.finditer(path):
            collection = _PARAMETER.sub("{}", path[: match.start()]).rstrip("/")
            assert collection in self.ids, f"make one of {collection} in {__name__}"
            values[match[1]] = self.ids[collection]
        return values

    def filled(self, path: str) -> str:
        return _PARAMETER.sub(lambda match: self.parameters(path)[match[1]], path)


async def make_inventory(http: httpx.AsyncClient, *, tag: str = "a", api: str = "/api/v1") -> Inventory:
    """One of everything, by a back end that holds the secret key. Of two inventories each has a tag of its own."""
    made = Inventory()

    async def make(collection: str, path: str, *, member: str = "id", **body: Any) -> Any:
        answer = await http.post(f"{api}{path}", json=body)
        assert answer.is_success, (path, answer.text)
        made.ids[collection] = answer.json()[member]
        return answer.json()

    def keep(**shown: str) -> None:
        made.secrets |= shown

    settings = {"enabled": True, "domains_enabled": True}
    enabled = await http.patch(f"{api}/instance/organization_settings", json=settings)
    assert enabled.is_success, enabled.text
    await _people(http, make, made, keep, tag, api)
    await _machines_and_keys(http, make, made, keep, tag, api)
    await _organizations(make, made, tag)
    await _doors(make, keep, tag)
    await _webhooks(http, make, made, keep, tag, api)
    domains = (await http.get(f"{api}/domains")).json()["data"]
    made.ids["/domains"] = domains[0]["id"]
    return made


async def _people(http: httpx.AsyncClient, make: Any, made: Inventory, keep: Any, tag: str, api: str) -> None:
    user = await make(
        "/users",
        "/users",
        email_address=[f"{tag}-first@example.com", f"{tag}-second@example.com"],
        phone_number=["+1555010" + _digits(tag)],
        password=f"a quiet harbour of {tag}",
        external_id=f"external-{tag}",
    )
    keep(password=f"a quiet harbour of {tag}")
    made.ids["/users/{}/oauth_access_tokens"] = "oauth_google"
    made.ids["/email_addresses"] = user["email_addresses"][1]["id"]
    made.ids["/phone_numbers"] = user["phone_numbers"][0]["id"]
    session = await make("/sessions", "/sessions", user_id=user["id"])
    made.ids["/clients"] = session["client_id"]
    template = f"{tag}-template"
    made.ids["/sessions/{}/tokens"] = template
    await make(
        "/jwt_templates", "/jwt_templates", name=template, claims={"role": "{{user.public_metadata.role}}"}
    )
    for name, path in (
        ("session token", f"/sessions/{session['id']}/tokens"),
        ("template token", f"/sessions/{session['id']}/tokens/{template}"),
    ):
        answer = await http.post(f"{api}{path}")
        assert answer.is_success, answer.text
        keep(**{name: answer.json()["jwt"]})
    signing = await make("/sign_in_tokens", "/sign_in_tokens", user_id=user["id"])
    acting = await make(
        "/actor_tokens",
        "/actor_tokens",
        user_id=user["id"],
        actor={"sub": "user_support"},
        expires_in_seconds=3600,
        session_max_duration_in_seconds=1800,
    )
    testing = await http.post(f"{api}/testing_tokens")
    keep(
        **{
            "sign-in token": signing["token"],
            "actor token": acting["token"],
            "testing token": testing.json()["token"],
        }
    )


async def _machines_and_keys(
    http: httpx.AsyncClient, make: Any, made: Inventory, keep: Any, tag: str, api: str
) -> None:
    other = await make("/machines/{}/scopes", "/machines", name=f"{tag} neighbour")
    machine = await make("/machines", "/machines", name=f"{tag} machine", scoped_machines=[other["id"]])
    user_id = made.ids["/users"]
    key = await make("/api_keys", "/api_keys", name=f"{tag} key", subject=user_id)
    keep(
        **{
            "machine's key": machine["secret_key"],
            "neighbour's key": other["secret_key"],
            "API key": key["secret"],
        }
    )
    own = {"authorization": f"Bearer {machine['secret_key']}"}
    for form in ("opaque", "jwt"):
        answer = await http.post(f"{api}/m2m_tokens", json={"token_format": form}, headers=own)
        assert answer.is_success, answer.text
        keep(**{f"M2M token ({form})": answer.json()["token"]})
        if form == "opaque":
            made.ids["/m2m_tokens"] = answer.json()["id"]


async def _organizations(make: Any, made: Inventory, tag: str) -> None:
    user_id = made.ids["/users"]
    one = await make("/organizations", "/organizations", name=f"{tag} Works", created_by=user_id)
    made.ids["/organizations/{}/memberships"] = user_id
    await make(
        "/organizations/{}/domains", f"/organizations/{one['id']}/domains", name=f"{tag}-works.example"
    )
    await make(
        "/organizations/{}/invitations",
        f"/organizations/{one['id']}/invitations",
        email_address=f"{tag}-invited@example.com",
        role="org:member",
    )
    permission = await make(
        "/organization_permissions", "/organization_permissions", name="Read", key=f"org:{tag}s:read"
    )
    made.ids["/organization_roles/{}/permissions"] = permission["id"]
    await make(
        "/organization_roles",
        "/organization_roles",
        name=f"{tag} editor",
        key=f"org:{tag}_editor",
        permissions=[permission["id"]],
    )


async def _doors(make: Any, keep: Any, tag: str) -> None:
    """What decides who comes in, and where they go from here."""
    await make("/allowlist_identifiers", "/allowlist_identifiers", identifier=f"{tag}-good@example.com")
    await make("/blocklist_identifiers", "/blocklist_identifiers", identifier=f"{tag}-bad@example.com")
    await make("/waitlist_entries", "/waitlist_entries", email_address=f"{tag}-waits@example.com")
    await make("/invitations", "/invitations", email_address=f"{tag}-guest@example.com")
    await make("/redirect_urls", "/redirect_urls", url=f"https://{tag}.example.com/back")
    application = await make(
        "/oauth_applications",
        "/oauth_applications",
        name=f"{tag} shop",
        redirect_uris=[f"https://{tag}.example.com/callback"],
    )
    keep(**{"OAuth client's secret": application["client_secret"]})


async def _webhooks(
    http: httpx.AsyncClient, make: Any, made: Inventory, keep: Any, tag: str, api: str
) -> None:
    path = "/webhook_endpoints"
    endpoint = await make(path, path, url=f"https://{tag}.example.com/hooks")
    keep(**{"webhook's secret": endpoint["secret"]})
    assert (await http.post(f"{api}{path}/{endpoint['id']}/test")).is_success
    sent = (await http.get(f"{api}{path}/{endpoint['id']}/deliveries")).json()["data"]
    made.ids["/webhook_endpoints/{}/deliveries"] = sent[0]["id"]


def _digits(tag: str) -> str:
    return f"{sum(map(ord, tag)) % 10_000:04d}"

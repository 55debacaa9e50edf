"""Registered OAuth clients: `identity_oauth_clients`, and the two that exist from the start."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from typing import Literal

import msgspec

from doorward.identity.paging import Slice
from doorward.identity.settings import IdentitySettings
from doorward.store import Row, Tx, contains

GrantType = Literal["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
DEVICE_CODE: GrantType = "urn:ietf:params:oauth:grant-type:device_code"
SECRET_PURPOSE = "oauth-client-secret"  # noqa: S105  (names a purpose)
DAY_SECONDS = 86_400
GATE_TOKEN_SECONDS = 600
CLI_REDIRECT_URI = "http://127.0.0.1:34338/callback"
#: The page of the accounts origin that shows a code for a person to paste into a terminal.
PASTE_PATH = "/connect/callback"

#: `none`: tokens carry no audience. `gate`: each token is for one environment of the gate zone.
ResourcePolicy = Literal["none", "gate"]


class OAuthClient(msgspec.Struct, frozen=True):
    """A public client has no `secret_hash`. `access_token_lifetime` is in seconds.

    `has_opaque_tokens`: its access tokens are checked here, and can be revoked; a JWT is verified by the key set, and
    ends by itself. `application_id` is set for applications that the Backend API manages; the built-in clients have none.
    """

    client_id: str
    name: str
    secret_hash: str | None
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    grant_types: tuple[str, ...]
    resource_policy: ResourcePolicy
    access_token_lifetime: int
    has_opaque_tokens: bool = False
    is_pkce_required: bool = True
    is_consent_asked: bool = True
    application_id: str | None = None
    image_id: str | None = None

    def __repr__(self) -> str:
        return f"OAuthClient({self.client_id})"

    @property
    def is_public(self) -> bool:
        return self.secret_hash is None


class Application(msgspec.Struct, frozen=True):
    """A client that the Backend API manages. Times in milliseconds."""

    id: str
    client: OAuthClient
    created_at: int
    updated_at: int


_COLUMNS = """client_id, name, secret_hash, redirect_uris, scopes, grant_types, resource_policy, access_token_lifetime,
    has_opaque_tokens, is_pkce_required, is_consent_asked, application_id, image_id"""
ORDERS = {"name": "name", "created_at": "created_at"}
_SCOPES = ("openid", "profile", "email", "offline_access")


def built_in(settings: IdentitySettings) -> list[OAuthClient]:
    return [
        OAuthClient(
            settings.cli_client_id,
            f"{settings.application_name} command line",
            None,
            (CLI_REDIRECT_URI, f"{settings.origin}{PASTE_PATH}"),
            _SCOPES,
            ("authorization_code", "refresh_token", DEVICE_CODE),
            "none",
            DAY_SECONDS,
        ),
        # The gate asks anew at each renewal, so that a person who signed out is noticed: no refresh token.
        OAuthClient(
            settings.gate_client_id,
            f"{settings.application_name} gate",
            None,
            (),
            ("openid", "profile", "email"),
            ("authorization_code",),
            "gate",
            GATE_TOKEN_SECONDS,
        ),
    ]


def put(tx: Tx, client: OAuthClient, now: int) -> None:
    tx.execute(
        f"""
        INSERT INTO identity_oauth_clients ({_COLUMNS}, created_at, updated_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, secret_hash = excluded.secret_hash,
            redirect_uris = excluded.redirect_uris, scopes = excluded.scopes, grant_types = excluded.grant_types,
            resource_policy = excluded.resource_policy,
            access_token_lifetime = excluded.access_token_lifetime,
            has_opaque_tokens = excluded.has_opaque_tokens, is_pkce_required = excluded.is_pkce_required,
            is_consent_asked = excluded.is_consent_asked, image_id = excluded.image_id,
            updated_at = excluded.updated_at
        """,
        (
            client.client_id,
            client.name,
            client.secret_hash,
            msgspec.json.encode(client.redirect_uris).decode(),
            " ".join(client.scopes),
            " ".join(client.grant_types),
            client.resource_policy,
            client.access_token_lifetime,
            client.has_opaque_tokens,
            client.is_pkce_required,
            client.is_consent_asked,
            client.application_id,
            client.image_id,
            now,
            now,
        ),
    )


def find(tx: Tx, client_id: str) -> OAuthClient | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_oauth_clients WHERE client_id = ?", (client_id,))
    return None if row is None else _client(row)


def find_application(tx: Tx, application_id: str) -> Application | None:
    row = tx.fetch_one(
        f"SELECT {_COLUMNS}, created_at, updated_at FROM identity_oauth_clients WHERE application_id = ?",
        (application_id,),
    )
    return None if row is None else _application(row)


def page_of_applications(tx: Tx, query: str | None, part: Slice) -> tuple[list[Application], int]:
    """Applications whose name holds `query` or whose client id it is, and how many those are in all."""
    where, values = "application_id IS NOT NULL", []
    if query is not None:
        where += r" AND (client_id = ? OR LOWER(name) LIKE LOWER(?) ESCAPE '\')"
        values = [query, contains(query)]
    rows = tx.fetch_all(
        f"""
        SELECT {_COLUMNS}, created_at, updated_at FROM identity_oauth_clients WHERE {where}
        {part.order_by(ORDERS, tie="application_id")}
        """,
        [*values, part.limit, part.offset],
    )
    count = tx.fetch_one(f"SELECT COUNT(*) FROM identity_oauth_clients WHERE {where}", values)
    return [_application(row) for row in rows], 0 if count is None else int(count[0])


def delete(tx: Tx, client_id: str) -> None:
    tx.execute(
        "DELETE FROM identity_images WHERE id = (SELECT image_id FROM identity_oauth_clients WHERE client_id = ?)",
        (client_id,),
    )
    tx.execute("DELETE FROM identity_oauth_clients WHERE client_id = ?", (client_id,))


def _application(row: Row) -> Application:
    client = _client(row[:-2])
    return Application(client.application_id or "", client, row[-2], row[-1])


def _client(row: Row) -> OAuthClient:
    values = list(row)
    values[3] = msgspec.json.decode(row[3].encode(), type=tuple[str, ...])
    values[4], values[5] = tuple(row[4].split()), tuple(row[5].split())
    values[8:11] = map(bool, row[8:11])
    return OAuthClient(*values)

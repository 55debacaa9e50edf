"""Registered OAuth clients: `identity_oauth_clients`, and the two that exist from the start."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from typing import Literal

import msgspec

from doorward.identity.settings import IdentitySettings
from doorward.store import Tx

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
    """A public client has no `secret_hash`. `access_token_lifetime` is in seconds."""

    client_id: str
    name: str
    secret_hash: str | None
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    grant_types: tuple[str, ...]
    resource_policy: ResourcePolicy
    access_token_lifetime: int

    def __repr__(self) -> str:
        return f"OAuthClient({self.client_id})"

    @property
    def is_public(self) -> bool:
        return self.secret_hash is None


_COLUMNS = (
    "client_id, name, secret_hash, redirect_uris, scopes, grant_types, resource_policy, access_token_lifetime"
)
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
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, secret_hash = excluded.secret_hash,
            redirect_uris = excluded.redirect_uris, scopes = excluded.scopes, grant_types = excluded.grant_types,
            resource_policy = excluded.resource_policy,
            access_token_lifetime = excluded.access_token_lifetime, updated_at = excluded.updated_at
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
            now,
            now,
        ),
    )


def find(tx: Tx, client_id: str) -> OAuthClient | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_oauth_clients WHERE client_id = ?", (client_id,))
    if row is None:
        return None
    uris = msgspec.json.decode(row[3].encode(), type=tuple[str, ...])
    return OAuthClient(
        row[0], row[1], row[2], uris, tuple(row[4].split()), tuple(row[5].split()), row[6], row[7]
    )

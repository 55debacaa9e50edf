"""Rows of grants, codes, refresh tokens, access tokens and consents.

A *grant* is one "yes" of one person to one client, and the family all its tokens belong to: revoking it is revoking
them all.
"""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.store import Tx


class Grant(msgspec.Struct, frozen=True):
    id: str
    client_id: str
    user_id: str
    session_id: str | None
    scope: str
    resource: str | None
    authenticated_at: int
    created_at: int
    revoked_at: int | None


class Code(msgspec.Struct, frozen=True):
    """An authorization code. `grant_id` is set by its redemption."""

    code_hash: str
    client_id: str
    user_id: str
    session_id: str
    redirect_uri: str
    scope: str
    resource: str | None
    code_challenge: str
    nonce: str | None
    authenticated_at: int
    created_at: int
    expire_at: int
    grant_id: str | None

    def __repr__(self) -> str:
        return f"Code({self.client_id}, {self.user_id})"


class RefreshToken(msgspec.Struct, frozen=True):
    token_hash: str
    grant_id: str
    created_at: int
    expire_at: int
    rotated_at: int | None

    def __repr__(self) -> str:
        return f"RefreshToken({self.grant_id})"


class AccessToken(msgspec.Struct, frozen=True):
    """An access token that was handed out. Only an opaque one has a `token_hash`: a JWT is known by its `jti`."""

    jti: str
    grant_id: str
    scope: str
    token_hash: str | None
    created_at: int
    expire_at: int

    def __repr__(self) -> str:
        return f"AccessToken({self.jti})"


_GRANT = "id, client_id, user_id, session_id, scope, resource, authenticated_at, created_at, revoked_at"
_CODE = """code_hash, client_id, user_id, session_id, redirect_uri, scope, resource, code_challenge, nonce,
    authenticated_at, created_at, expire_at, grant_id"""
_ACCESS = "jti, grant_id, scope, token_hash, created_at, expire_at"
_REFRESH = "token_hash, grant_id, created_at, expire_at, rotated_at"


def insert_grant(tx: Tx, grant: Grant) -> None:
    tx.execute(
        f"INSERT INTO identity_oauth_grants ({_GRANT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            grant.id,
            grant.client_id,
            grant.user_id,
            grant.session_id,
            grant.scope,
            grant.resource,
            grant.authenticated_at,
            grant.created_at,
            grant.revoked_at,
        ),
    )


def find_grant(tx: Tx, grant_id: str) -> Grant | None:
    row = tx.fetch_one(f"SELECT {_GRANT} FROM identity_oauth_grants WHERE id = ?", (grant_id,))
    return None if row is None else Grant(*row)


def revoke(tx: Tx, grant_id: str, *, because: str, now: int) -> bool:
    """Every token of the family stops working, access tokens wherever they are checked against us."""
    return (
        tx.execute(
            "UPDATE identity_oauth_grants SET revoked_at = ?, revoked_because = ? WHERE id = ? AND revoked_at IS NULL",
            (now, because, grant_id),
        )
        == 1
    )


def revoke_of_user(tx: Tx, user_id: str, *, because: str, now: int) -> None:
    tx.execute(
        """
        UPDATE identity_oauth_grants SET revoked_at = ?, revoked_because = ?
        WHERE user_id = ? AND revoked_at IS NULL
        """,
        (now, because, user_id),
    )
    # Codes not yet redeemed and devices not yet collected would otherwise bring a grant back.
    tx.execute("DELETE FROM identity_oauth_codes WHERE user_id = ? AND grant_id IS NULL", (user_id,))
    tx.execute("DELETE FROM identity_oauth_devices WHERE user_id = ?", (user_id,))


def delete_of_client(tx: Tx, client_id: str) -> None:
    """Everything people ever gave a client: its tokens are unknown from now on, and it would have to ask again."""
    for table in ("grants", "codes", "consents", "devices"):
        tx.execute(f"DELETE FROM identity_oauth_{table} WHERE client_id = ?", (client_id,))


def insert_code(tx: Tx, code: Code) -> None:
    tx.execute(
        f"INSERT INTO identity_oauth_codes ({_CODE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            code.code_hash,
            code.client_id,
            code.user_id,
            code.session_id,
            code.redirect_uri,
            code.scope,
            code.resource,
            code.code_challenge,
            code.nonce,
            code.authenticated_at,
            code.created_at,
            code.expire_at,
            code.grant_id,
        ),
    )


def find_code(tx: Tx, code_hash: str) -> Code | None:
    row = tx.fetch_one(f"SELECT {_CODE} FROM identity_oauth_codes WHERE code_hash = ?", (code_hash,))
    return None if row is None else Code(*row)


def redeem_code(tx: Tx, code_hash: str, grant_id: str) -> bool:
    """True for the one caller that gets it."""
    return (
        tx.execute(
            "UPDATE identity_oauth_codes SET grant_id = ? WHERE code_hash = ? AND grant_id IS NULL",
            (grant_id, code_hash),
        )
        == 1
    )


def insert_refresh_token(tx: Tx, token: RefreshToken) -> None:
    tx.execute(
        f"INSERT INTO identity_oauth_refresh_tokens ({_REFRESH}) VALUES (?, ?, ?, ?, ?)",
        (token.token_hash, token.grant_id, token.created_at, token.expire_at, token.rotated_at),
    )


def find_refresh_token(tx: Tx, token_hash: str) -> RefreshToken | None:
    row = tx.fetch_one(
        f"SELECT {_REFRESH} FROM identity_oauth_refresh_tokens WHERE token_hash = ?", (token_hash,)
    )
    return None if row is None else RefreshToken(*row)


def mark_rotated(tx: Tx, token_hash: str, now: int) -> None:
    """The first use counts: a second one within the grace period does not prolong it."""
    tx.execute(
        "UPDATE identity_oauth_refresh_tokens SET rotated_at = ? WHERE token_hash = ? AND rotated_at IS NULL",
        (now, token_hash),
    )


def insert_access_token(tx: Tx, token: AccessToken) -> None:
    tx.execute(
        f"INSERT INTO identity_oauth_access_tokens ({_ACCESS}) VALUES (?, ?, ?, ?, ?, ?)",
        (token.jti, token.grant_id, token.scope, token.token_hash, token.created_at, token.expire_at),
    )


def find_opaque_token(tx: Tx, token_hash: str) -> AccessToken | None:
    row = tx.fetch_one(
        f"SELECT {_ACCESS} FROM identity_oauth_access_tokens WHERE token_hash = ?", (token_hash,)
    )
    return None if row is None else AccessToken(*row)


def find_access_token(tx: Tx, jti: str) -> AccessToken | None:
    row = tx.fetch_one(f"SELECT {_ACCESS} FROM identity_oauth_access_tokens WHERE jti = ?", (jti,))
    return None if row is None else AccessToken(*row)


def consented_scope(tx: Tx, user_id: str, client_id: str, resource: str | None) -> frozenset[str]:
    row = tx.fetch_one(
        "SELECT scope FROM identity_oauth_consents WHERE user_id = ? AND client_id = ? AND resource = ?",
        (user_id, client_id, resource or ""),
    )
    return frozenset() if row is None else frozenset(row[0].split())


def put_consent(
    tx: Tx, user_id: str, client_id: str, resource: str | None, scope: frozenset[str], now: int
) -> None:
    tx.execute(
        """
        INSERT INTO identity_oauth_consents (user_id, client_id, resource, scope, granted_at)
        VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (user_id, client_id, resource)
        DO UPDATE SET scope = excluded.scope, granted_at = excluded.granted_at
        """,
        (user_id, client_id, resource or "", " ".join(sorted(scope)), now),
    )


def delete_expired(tx: Tx, now: int) -> None:
    tx.execute("DELETE FROM identity_oauth_access_tokens WHERE expire_at <= ?", (now,))
    tx.execute("DELETE FROM identity_oauth_refresh_tokens WHERE expire_at <= ?", (now,))
    # A redeemed code is kept as long as its reuse could still be somebody else's: a day.
    tx.execute("DELETE FROM identity_oauth_codes WHERE expire_at <= ?", (now - 86_400_000,))

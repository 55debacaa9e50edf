"""The token endpoint: turning a code, a refresh token or an approved device into tokens (RFC 6749, RFC 8628).

A transaction answers what happened and the error is raised after it: revoking a family because of a reused token must
be kept, and raising inside would roll it back.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from urllib.parse import unquote_plus

import msgspec
from msgspec.structs import replace

from doorward.identity.accounts import store as accounts
from doorward.identity.accounts.store import Account
from doorward.identity.audit import store as audit
from doorward.identity.identifiers import new_hex_id, new_id, new_secret
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.oauth import clients, devices, grants, rules
from doorward.identity.oauth.authorize import CODE_PURPOSE
from doorward.identity.oauth.clients import OAuthClient
from doorward.identity.oauth.errors import OAuthError
from doorward.identity.oauth.grants import AccessToken, Code, Grant, RefreshToken
from doorward.identity.resources.images import Images
from doorward.identity.sessions import rules as session_rules
from doorward.identity.sessions import store as session_store
from doorward.identity.settings import IdentitySettings
from doorward.identity.signing_keys.service import SigningKeys
from doorward.jose import b64url_encode
from doorward.store import Clock, Database, Tx

REFRESH_PURPOSE = "oauth-refresh-token"
OPAQUE_PURPOSE = "oauth-access-token"
ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105  (RFC 9068)
ID_TOKEN_LIFETIME = 86_400  # seconds


class AccessClaims(msgspec.Struct, omit_defaults=True):
    """An access token (RFC 9068). Times in seconds; `aud` only for tokens bound to one environment."""

    iss: str
    sub: str
    client_id: str
    scope: str
    jti: str
    iat: int
    nbf: int
    exp: int
    aud: list[str] | None = None
    sid: str | None = None


class IdClaims(msgspec.Struct, omit_defaults=True):
    """An ID token (OpenID Connect Core §2)."""

    iss: str
    sub: str
    aud: str
    iat: int
    exp: int
    auth_time: int
    jti: str
    at_hash: str
    nonce: str | None = None
    sid: str | None = None
    name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    preferred_username: str | None = None
    picture: str | None = None
    email: str | None = None
    email_verified: bool | None = None


class Tokens(msgspec.Struct, frozen=True):
    """What a client gets. `expires_in` is in seconds."""

    access_token: str
    expires_in: int
    scope: str
    refresh_token: str | None
    id_token: str | None
    expires_at: int = 0

    def __repr__(self) -> str:
        return f"Tokens({self.scope!r})"


class _Mint(msgspec.Struct, frozen=True):
    """The secrets of one answer, made before its transaction."""

    grant_id: str
    jti: str
    refresh_token: str
    opaque_token: str

    def __repr__(self) -> str:
        return f"_Mint({self.grant_id})"


class _Issued(msgspec.Struct, frozen=True):
    """What a transaction decided to hand out."""

    grant: Grant
    account: Account
    scope: str
    nonce: str | None
    has_refresh_token: bool
    client: OAuthClient


class TokenEndpoint:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        keyed_hash: KeyedHash,
        signing_keys: SigningKeys,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hash = keyed_hash
        self._signing_keys = signing_keys

    async def exchange(self, form: Mapping[str, str], authorization: str | None) -> Tokens:
        """Answer one token request. Raises OAuthError."""
        client = await self.authenticate_client(form, authorization)
        grant_type = form.get("grant_type")
        if grant_type is None:
            raise OAuthError("invalid_request", "grant_type is missing")
        if grant_type not in ("authorization_code", "refresh_token", clients.DEVICE_CODE):
            raise OAuthError("unsupported_grant_type", "This grant_type is not supported")
        if grant_type not in client.grant_types:
            raise OAuthError("unauthorized_client", "The client may not use this grant_type")
        if grant_type == "authorization_code":
            return await self._code_grant(form, client)
        if grant_type == "refresh_token":
            return await self._refresh_grant(form, client)
        return await self._device_grant(form, client)

    async def authenticate_client(self, form: Mapping[str, str], authorization: str | None) -> OAuthClient:
        """HTTP Basic or body parameters; a public client names itself. Raises OAuthError (401 invalid_client)."""
        client_id, secret = form.get("client_id"), form.get("client_secret")
        if authorization is not None:
            basic_id, basic_secret = _basic(authorization)
            if secret is not None or (client_id is not None and client_id != basic_id):
                raise OAuthError("invalid_request", "Authenticate the client in one way only")
            client_id, secret = basic_id, basic_secret
        if not client_id:
            raise OAuthError("invalid_client", "client_id is missing")
        wanted = client_id
        client = await self._database.read(lambda tx: clients.find(tx, wanted))
        if client is None:
            raise OAuthError("invalid_client", "The client is not known here")
        if client.secret_hash is None:
            if secret:
                raise OAuthError("invalid_client", "This client is public and has no secret")
        elif not self._hash.matches(clients.SECRET_PURPOSE, secret or "", client.secret_hash):
            raise OAuthError("invalid_client", "Client authentication failed")
        return client

    async def issue_for(self, client_id: str, user_id: str) -> Tokens:
        """Tokens without a browser, for this server's own machine. Raises OAuthError."""
        mint, now = _mint(), self._clock()

        def work(tx: Tx) -> _Issued | OAuthError:
            client = clients.find(tx, client_id)
            if client is None:
                return OAuthError("invalid_client", "The client is not known here")
            grant = Grant(
                mint.grant_id, client_id, user_id, None, "openid profile email", None, now, now, None
            )
            return self._issue_new(tx, client, grant, mint, now, nonce=None)

        return await self._answer(work, mint)

    # -- one grant type a method

    async def _code_grant(self, form: Mapping[str, str], client: OAuthClient) -> Tokens:
        secret, verifier = _required(form, "code"), form.get("code_verifier", "")
        if not verifier and (client.is_pkce_required or client.is_public):
            raise OAuthError("invalid_request", "code_verifier is missing")
        redirect_uri = _required(form, "redirect_uri")
        code_hash = self._hash.of(CODE_PURPOSE, secret)
        mint, now = _mint(), self._clock()

        def work(tx: Tx) -> _Issued | OAuthError:
            code = grants.find_code(tx, code_hash)
            if code is None or code.client_id != client.client_id:
                return OAuthError("invalid_grant", "The code is not valid for this client")
            if code.grant_id is not None:
                # RFC 6749 §4.1.2: whoever comes second may be the thief, or the first may have been.
                grants.revoke(tx, code.grant_id, because="code_reused", now=now)
                audit.record(
                    tx, now=now, actor=code.user_id, action="oauth.code_reused", object_id=code.grant_id
                )
                return OAuthError("invalid_grant", "The code was used before; its tokens are revoked")
            problem = self._code_problem(tx, code, form, redirect_uri, verifier, now)
            if problem is not None:
                return problem
            if not grants.redeem_code(tx, code_hash, mint.grant_id):
                return OAuthError("invalid_grant", "The code was used before")
            grant = Grant(
                mint.grant_id,
                client.client_id,
                code.user_id,
                code.session_id,
                code.scope,
                code.resource,
                code.authenticated_at,
                now,
                None,
            )
            return self._issue_new(tx, client, grant, mint, now, nonce=code.nonce)

        return await self._answer(work, mint)

    def _code_problem(
        self, tx: Tx, code: Code, form: Mapping[str, str], redirect_uri: str, verifier: str, now: int
    ) -> OAuthError | None:
        if now >= code.expire_at:
            return OAuthError("invalid_grant", "The code has expired")
        if redirect_uri != code.redirect_uri:
            return OAuthError("invalid_grant", "redirect_uri is not the one of the authorize request")
        # A verifier without a challenge would be the downgrade of RFC 9700 §2.1.1: somebody took the challenge out.
        is_proved = (
            rules.verifier_matches(verifier, code.code_challenge) if code.code_challenge else not verifier
        )
        if not is_proved:
            return OAuthError("invalid_grant", "code_verifier does not match the challenge")
        if form.get("resource", code.resource) != code.resource:
            return OAuthError("invalid_target", "resource is not the one of the authorize request")
        session = session_store.find(tx, code.session_id)
        if session is None or not session_rules.is_alive(session, now):
            return OAuthError("invalid_grant", "The user has signed out")
        return None

    async def _refresh_grant(self, form: Mapping[str, str], client: OAuthClient) -> Tokens:
        token_hash = self._hash.of(REFRESH_PURPOSE, _required(form, "refresh_token"))
        narrower = rules.parse_scope(form["scope"], client) if form.get("scope") else None
        if form.get("scope") and narrower is None:
            raise OAuthError("invalid_scope", "The client may not request one of these scopes")
        mint, now = _mint(), self._clock()

        def work(tx: Tx) -> _Issued | OAuthError:
            token = grants.find_refresh_token(tx, token_hash)
            grant = None if token is None else grants.find_grant(tx, token.grant_id)
            if token is None or grant is None or grant.client_id != client.client_id:
                return OAuthError("invalid_grant", "The refresh token is not valid for this client")
            if grant.revoked_at is not None:
                return OAuthError("invalid_grant", "Access was revoked; sign in again")
            if token.rotated_at is not None and now - token.rotated_at > rules.REFRESH_GRACE_MS:
                grants.revoke(tx, grant.id, because="refresh_token_reused", now=now)
                audit.record(
                    tx, now=now, actor=grant.user_id, action="oauth.refresh_reused", object_id=grant.id
                )
                return OAuthError("invalid_grant", "The refresh token was used before; access is revoked")
            if now >= token.expire_at:
                return OAuthError("invalid_grant", "The refresh token has expired; sign in again")
            if narrower is not None and not set(narrower) <= set(grant.scope.split()):
                return OAuthError("invalid_scope", "The scope is wider than what was granted")
            if form.get("resource", grant.resource) != grant.resource:
                return OAuthError("invalid_target", "resource is not the one of the authorize request")
            grants.mark_rotated(tx, token_hash, now)
            scope = grant.scope if narrower is None else " ".join(narrower)
            return self._issue(tx, client, grant, mint, now, scope=scope, nonce=None)

        return await self._answer(work, mint)

    async def _device_grant(self, form: Mapping[str, str], client: OAuthClient) -> Tokens:
        code_hash = self._hash.of(devices.DEVICE_CODE_PURPOSE, _required(form, "device_code"))
        mint, now = _mint(), self._clock()

        def work(tx: Tx) -> _Issued | OAuthError:
            outcome = devices.poll(tx, code_hash, client.client_id, now)
            if isinstance(outcome, OAuthError):
                return outcome
            grant = Grant(
                mint.grant_id,
                client.client_id,
                outcome.user_id or "",
                outcome.session_id,
                outcome.scope,
                outcome.resource,
                outcome.authenticated_at or now,
                now,
                None,
            )
            return self._issue_new(tx, client, grant, mint, now, nonce=None)

        return await self._answer(work, mint)

    # -- handing out

    def _issue_new(
        self, tx: Tx, client: OAuthClient, grant: Grant, mint: _Mint, now: int, *, nonce: str | None
    ) -> _Issued | OAuthError:
        if accounts.find_user(tx, grant.user_id) is None:
            return OAuthError("invalid_grant", "The account is gone")
        if clients.find(tx, grant.client_id) is None:  # deleted since it proved itself
            return OAuthError("invalid_client", "The client is not known here")
        grants.insert_grant(tx, grant)
        issued = self._issue(tx, client, grant, mint, now, scope=grant.scope, nonce=nonce)
        if isinstance(issued, OAuthError):
            grants.revoke(tx, grant.id, because="barred", now=now)
        else:
            audit.record(
                tx,
                now=now,
                actor=grant.user_id,
                action="oauth.granted",
                object_id=grant.id,
                detail=client.client_id,
            )
        return issued

    def _issue(
        self,
        tx: Tx,
        client: OAuthClient,
        grant: Grant,
        mint: _Mint,
        now: int,
        *,
        scope: str,
        nonce: str | None,
    ) -> _Issued | OAuthError:
        """Write down the tokens of one answer, for people who may have them."""
        account = accounts.find_account(tx, grant.user_id)
        if account is None or account.user.is_banned or account.user.is_locked(now):
            return OAuthError("invalid_grant", "The account may not be used")
        token_hash = self._hash.of(OPAQUE_PURPOSE, mint.opaque_token) if client.has_opaque_tokens else None
        end = now + client.access_token_lifetime * 1000
        grants.insert_access_token(tx, AccessToken(mint.jti, grant.id, scope, token_hash, now, end))
        offers_refresh = "refresh_token" in client.grant_types
        if offers_refresh:
            token_hash = self._hash.of(REFRESH_PURPOSE, mint.refresh_token)
            # The end is the grant's, not the token's: rotating forever does not prolong it.
            end = grant.created_at + rules.REFRESH_LIFETIME_MS
            grants.insert_refresh_token(tx, RefreshToken(token_hash, grant.id, now, end, None))
        return _Issued(replace(grant), account, scope, nonce, offers_refresh, client)

    async def _answer(self, work: Callable[[Tx], _Issued | OAuthError], mint: _Mint) -> Tokens:
        outcome = await self._database.write(work)
        if isinstance(outcome, OAuthError):
            raise outcome
        return self._sign(outcome, mint)

    def _sign(self, issued: _Issued, mint: _Mint) -> Tokens:
        seconds, lifetime = self._clock() // 1000, issued.client.access_token_lifetime
        if issued.client.has_opaque_tokens:
            access = mint.opaque_token
        else:
            claims = self._access_claims(issued.grant, issued.scope, mint.jti, seconds, lifetime)
            access = self._signing_keys.sign(claims, typ=ACCESS_TOKEN_TYPE)
        id_token = None
        if "openid" in issued.scope.split():
            id_token = self._signing_keys.sign(self._id_claims(issued, access, seconds), typ="JWT")
        return Tokens(
            access_token=access,
            expires_in=lifetime,
            scope=issued.scope,
            refresh_token=mint.refresh_token if issued.has_refresh_token else None,
            id_token=id_token,
            expires_at=(seconds + lifetime) * 1000,
        )

    def _access_claims(self, grant: Grant, scope: str, jti: str, seconds: int, lifetime: int) -> AccessClaims:
        return AccessClaims(
            iss=self._settings.origin,
            sub=grant.user_id,
            client_id=grant.client_id,
            scope=scope,
            jti=jti,
            iat=seconds,
            nbf=seconds,
            exp=seconds + lifetime,
            aud=None if grant.resource is None else [grant.resource],
            sid=grant.session_id,
        )

    def _id_claims(self, issued: _Issued, access_token: str, seconds: int) -> IdClaims:
        grant, account, scopes = issued.grant, issued.account, issued.scope.split()
        half = hashlib.sha256(access_token.encode("ascii")).digest()[:16]
        claims = IdClaims(
            iss=self._settings.origin,
            sub=grant.user_id,
            aud=grant.client_id,
            iat=seconds,
            exp=seconds + ID_TOKEN_LIFETIME,
            auth_time=grant.authenticated_at // 1000,
            jti=new_id("idt"),
            at_hash=b64url_encode(half),
            nonce=issued.nonce,
            sid=grant.session_id,
        )
        if "profile" in scopes:
            user = account.user
            claims.given_name, claims.family_name = user.first_name, user.last_name
            claims.name = " ".join(part for part in (user.first_name, user.last_name) if part) or None
            claims.picture = Images(self._settings.origin).url(user.image_id)
        if "email" in scopes:
            claims.email = account.primary_email.address
            claims.email_verified = account.primary_email.verified_at is not None
        return claims


def _mint() -> _Mint:
    return _Mint(new_id("grant"), new_hex_id("oat"), new_secret(), f"oat_{new_secret()}")


def _required(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise OAuthError("invalid_request", f"{name} is missing")
    return value


def _basic(authorization: str) -> tuple[str, str]:
    """RFC 6749 §2.3.1: both halves are form-encoded inside the Basic credentials."""
    scheme, _, credentials = authorization.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError(scheme)
        decoded = base64.b64decode(credentials.strip(), validate=True).decode()
        client_id, colon, secret = decoded.partition(":")
        if not colon:
            raise ValueError("no colon")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise OAuthError(
            "invalid_client", "The Authorization header is not valid Basic credentials"
        ) from error
    return unquote_plus(client_id), unquote_plus(secret)

"""OAuth applications: clients that an instance's back end makes, changes and deletes. The built-in clients are none."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from doorward.identity.accounts import images
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    AUTHORIZATION_INVALID,
    FORM_PARAM_VALUE_INVALID,
    FORM_PUBLIC_CLIENT_REQUIRES_PKCE,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id, new_secret
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.oauth import clients, grants, rules
from doorward.identity.oauth.clients import Application, OAuthClient
from doorward.identity.oauth.inspection import Inspection
from doorward.identity.paging import Slice
from doorward.store import Clock, Database, Tx

MAX_REDIRECT_URIS = 100


class ApplicationWish(msgspec.Struct, frozen=True, kw_only=True):
    """What an application is to be. None for PKCE means: as the kind of client needs it."""

    name: str
    redirect_uris: tuple[str, ...] = ()
    scopes: tuple[str, ...] = rules.DEFAULT_SCOPE
    is_public: bool = False
    is_pkce_required: bool | None = None
    is_consent_asked: bool = True
    has_opaque_tokens: bool = False


class ApplicationChange(msgspec.Struct, frozen=True, kw_only=True):
    """None leaves a member as it is."""

    name: str | None = None
    redirect_uris: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None
    is_public: bool | None = None
    is_pkce_required: bool | None = None
    is_consent_asked: bool | None = None
    has_opaque_tokens: bool | None = None


class MadeApplication(msgspec.Struct, frozen=True):
    """`client_secret` is shown here and never again; a public application has none."""

    application: Application
    client_secret: str | None

    def __repr__(self) -> str:
        return f"MadeApplication({self.application.id})"


class Applications:
    """`actor` is who asks, for the audit trail. Methods that name an application raise Refused (404) when it is none."""

    def __init__(
        self, database: Database, clock: Clock, *, keyed_hash: KeyedHash, inspection: Inspection
    ) -> None:
        self._database = database
        self._clock = clock
        self._hash = keyed_hash
        self._inspection = inspection

    async def create(self, wish: ApplicationWish, *, actor: str) -> MadeApplication:
        """Raises Refused (422) for redirect URIs, scopes or a PKCE rule that cannot be."""
        _check(wish.redirect_uris, wish.scopes)
        _check_pkce(wish.is_public, wish.is_pkce_required)
        now, secret = self._clock(), None if wish.is_public else new_secret()
        application_id = new_id("oauthapp")
        client = OAuthClient(
            client_id=new_id("oac").removeprefix("oac_"),
            name=wish.name,
            secret_hash=None if secret is None else self._secret_hash(secret),
            redirect_uris=wish.redirect_uris,
            scopes=wish.scopes,
            grant_types=("authorization_code", "refresh_token"),
            resource_policy="none",
            access_token_lifetime=clients.DAY_SECONDS,
            has_opaque_tokens=wish.has_opaque_tokens,
            is_pkce_required=wish.is_public or bool(wish.is_pkce_required),
            is_consent_asked=wish.is_consent_asked,
            application_id=application_id,
        )

        def work(tx: Tx) -> None:
            clients.put(tx, client, now)
            _record(tx, now, actor, "oauth_application.made", application_id, wish.name)

        await self._database.write(work)
        return MadeApplication(Application(application_id, client, now, now), secret)

    async def page(self, query: str | None, part: Slice) -> tuple[list[Application], int]:
        return await self._database.read(lambda tx: clients.page_of_applications(tx, query, part))

    async def get(self, application_id: str) -> Application:
        return await self._database.read(lambda tx: _require(tx, application_id))

    async def update(self, application_id: str, change: ApplicationChange, *, actor: str) -> Application:
        """Raises Refused (422) as `create` does. One that becomes public loses its secret, and one that becomes
        confidential gets one by `rotate_secret`."""
        _check(change.redirect_uris or (), change.scopes or ())
        now, unknown_secret = self._clock(), self._secret_hash(new_secret())

        def work(tx: Tx) -> Application:
            client = _changed(_require(tx, application_id).client, change, unknown_secret)
            clients.put(tx, client, now)
            _record(tx, now, actor, "oauth_application.changed", application_id, client.name)
            return _require(tx, application_id)

        return await self._database.write(work)

    async def set_logo(self, application_id: str, content: bytes, *, actor: str) -> Application:
        """Raises Refused (400) for what is no image."""
        now, image = self._clock(), images.checked(application_id, content)

        def work(tx: Tx) -> Application:
            client = _require(tx, application_id).client
            image_id = images.replace(tx, client.image_id, image, now)
            clients.put(tx, msgspec.structs.replace(client, image_id=image_id), now)
            _record(tx, now, actor, "oauth_application.changed", application_id, client.name)
            return _require(tx, application_id)

        return await self._database.write(work)

    async def delete(self, application_id: str, *, actor: str) -> None:
        """Its codes, refresh tokens and opaque access tokens end with it; JWTs do where we are asked about them."""
        now = self._clock()

        def work(tx: Tx) -> None:
            client = _require(tx, application_id).client
            grants.delete_of_client(tx, client.client_id)
            clients.delete(tx, client.client_id)
            _record(tx, now, actor, "oauth_application.deleted", application_id, client.name)

        await self._database.write(work)

    async def rotate_secret(self, application_id: str, *, actor: str) -> MadeApplication:
        """The old secret ends at once. Raises Refused (403) for a public application."""
        now, secret = self._clock(), new_secret()
        secret_hash = self._secret_hash(secret)

        def work(tx: Tx) -> Application:
            client = _require(tx, application_id).client
            if client.is_public:
                raise Refused(
                    AUTHORIZATION_INVALID.at(
                        long_message="A public OAuth application has no secret to replace."
                    )
                )
            clients.put(tx, msgspec.structs.replace(client, secret_hash=secret_hash), now)
            _record(tx, now, actor, "oauth_application.secret_rotated", application_id)
            return _require(tx, application_id)

        return MadeApplication(await self._database.write(work), secret)

    async def revoke_token(self, application_id: str, token: str, *, actor: str) -> None:
        """Revoke the grant of a refresh or opaque access token. Raises Refused (404) for any other token: a JWT access
        token ends by itself."""
        application = await self.get(application_id)
        client_id = application.client.client_id
        if not await self._inspection.revoke_grant_of(
            client_id, token, actor=actor, because="revoked_by_backend"
        ):
            raise Refused(
                not_found("The application has no such token, or it is a JWT, which ends by itself.")
            )

    def _secret_hash(self, secret: str) -> str:
        return self._hash.of(clients.SECRET_PURPOSE, secret)


def _require(tx: Tx, application_id: str) -> Application:
    application = clients.find_application(tx, application_id)
    if application is None:
        raise Refused(not_found("No OAuth application of this instance has this id."))
    return application


def _changed(client: OAuthClient, change: ApplicationChange, unknown_secret: str) -> OAuthClient:
    """Raises Refused (422)."""
    is_public = client.is_public if change.is_public is None else change.is_public
    _check_pkce(is_public, change.is_pkce_required)
    secret_hash = None if is_public else client.secret_hash or unknown_secret
    members = {
        name: value
        for name in ("name", "redirect_uris", "scopes", "is_consent_asked", "has_opaque_tokens")
        if (value := getattr(change, name)) is not None
    }
    is_pkce_required = client.is_pkce_required if change.is_pkce_required is None else change.is_pkce_required
    return msgspec.structs.replace(
        client, **members, secret_hash=secret_hash, is_pkce_required=is_public or is_pkce_required
    )


def _check_pkce(is_public: bool, is_pkce_required: bool | None) -> None:
    if is_public and is_pkce_required is False:
        raise Refused(FORM_PUBLIC_CLIENT_REQUIRES_PKCE)


def _check(redirect_uris: Iterable[str], scopes: Iterable[str]) -> None:
    """Raises Refused (422)."""
    for index, uri in enumerate(redirect_uris):
        if index >= MAX_REDIRECT_URIS or not rules.is_redirect_uri(uri):
            raise Refused(
                FORM_PARAM_VALUE_INVALID.at(
                    "redirect_uris",
                    long_message="Redirect URIs are absolute URLs without a fragment, of at most 1024 characters,"
                    f" and at most {MAX_REDIRECT_URIS}.",
                )
            )
    unknown = sorted(set(scopes) - rules.KNOWN_SCOPES)
    if unknown:
        raise Refused(
            FORM_PARAM_VALUE_INVALID.at(
                "scopes",
                long_message=f"{unknown[0]} is no scope; there are {', '.join(sorted(rules.KNOWN_SCOPES))}.",
            )
        )


def _record(tx: Tx, now: int, actor: str, action: str, application_id: str, detail: str = "") -> None:
    audit.record(tx, now=now, actor=actor, action=action, object_id=application_id, detail=detail)

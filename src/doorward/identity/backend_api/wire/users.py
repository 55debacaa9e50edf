"""What the Backend API is asked about users, and its smaller answers. Names, nullability and defaults are Clerk's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from doorward.identity.backend_api.wire.shapes import Body, Offset, Query, Time

Identified = Literal["verified", "reserved"]
Ids = Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=50)]


class TotalCount(msgspec.Struct):
    total_count: int
    object: str = "total_count"


class Verified(msgspec.Struct):
    verified: bool = True


class UserId(msgspec.Struct):
    user_id: str


class ProviderToken(msgspec.Struct):
    """A social provider's access token. Nobody is connected to one here, so none is ever listed."""

    external_account_id: str
    provider_user_id: str
    provider: str
    token: str
    expires_at: int | None
    label: str | None
    public_metadata: dict[str, Any]
    scopes: list[str]
    object: str = "oauth_access_token"


class ProviderTokens(msgspec.Struct):
    data: list[ProviderToken]
    total_count: int


class UserFilters(Query, frozen=True, kw_only=True):
    """`+` and `-` before an id want and exclude it."""

    email_address: tuple[str, ...] = ()
    phone_number: tuple[str, ...] = ()
    external_id: tuple[str, ...] = ()
    username: tuple[str, ...] = ()
    web3_wallet: tuple[str, ...] = ()
    user_id: tuple[str, ...] = ()
    organization_id: tuple[str, ...] = ()
    query: str | None = None
    email_address_query: str | None = None
    phone_number_query: str | None = None
    username_query: str | None = None
    name_query: str | None = None
    banned: bool | None = None
    last_active_at_before: Time | None = None
    last_active_at_after: Time | None = None
    last_active_at_since: Time | None = None
    created_at_before: Time | None = None
    created_at_after: Time | None = None
    last_sign_in_at_before: Time | None = None
    last_sign_in_at_after: Time | None = None
    provider: str | None = None
    provider_user_id: tuple[str, ...] = ()


class UserPage(UserFilters, frozen=True, kw_only=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 10
    offset: Offset = 0
    order_by: str = "-created_at"
    starting_after: str | None = None


class CreateUser(Body, frozen=True, kw_only=True):
    external_id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    locale: str | None = None
    timezone: str | None = None
    email_address: tuple[str, ...] = ()
    email_address_identification_status: tuple[Identified, ...] | None = None
    phone_number: tuple[str, ...] = ()
    phone_number_identification_status: tuple[Identified, ...] | None = None
    web3_wallet: tuple[str, ...] = ()
    username: str | None = None
    password: str | None = None
    password_digest: str | None = None
    password_hasher: str | None = None
    skip_password_checks: bool | None = None
    skip_password_requirement: bool | None = None
    totp_secret: str | None = None
    backup_codes: tuple[str, ...] | None = None
    public_metadata: dict[str, Any] | None = None
    private_metadata: dict[str, Any] | None = None
    unsafe_metadata: dict[str, Any] | None = None
    delete_self_enabled: bool | None = None
    legal_accepted_at: str | None = None
    skip_legal_checks: bool | None = None
    skip_user_requirement: bool | None = None
    create_organization_enabled: bool | None = None
    create_organizations_limit: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None
    created_at: str | None = None
    bypass_client_trust: bool | None = None
    banned: bool | None = None
    locked: bool | None = None

    def __repr__(self) -> str:
        return "CreateUser(…)"


class UpdateUser(Body, frozen=True, kw_only=True):
    external_id: str | UnsetType | None = UNSET
    first_name: str | UnsetType | None = UNSET
    last_name: str | UnsetType | None = UNSET
    locale: str | UnsetType | None = UNSET
    timezone: str | UnsetType | None = UNSET
    primary_email_address_id: str | None = None
    notify_primary_email_address_changed: bool | None = None
    primary_phone_number_id: str | None = None
    primary_web3_wallet_id: str | None = None
    username: str | UnsetType | None = UNSET
    profile_image_id: str | None = None
    password: str | None = None
    password_digest: str | None = None
    password_hasher: str | None = None
    skip_password_checks: bool | None = None
    sign_out_of_other_sessions: bool | None = None
    totp_secret: str | None = None
    backup_codes: tuple[str, ...] | None = None
    delete_self_enabled: bool | None = None
    create_organization_enabled: bool | None = None
    legal_accepted_at: str | UnsetType | None = UNSET
    skip_legal_checks: bool | None = None
    create_organizations_limit: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | UnsetType | None = UNSET
    created_at: str | None = None
    bypass_client_trust: bool | None = None
    public_metadata: dict[str, Any] | UnsetType | None = UNSET
    private_metadata: dict[str, Any] | UnsetType | None = UNSET
    unsafe_metadata: dict[str, Any] | UnsetType | None = UNSET

    def __repr__(self) -> str:
        return "UpdateUser(…)"


class UserMetadata(Body, frozen=True, kw_only=True):
    public_metadata: dict[str, Any] | UnsetType | None = UNSET
    private_metadata: dict[str, Any] | UnsetType | None = UNSET
    unsafe_metadata: dict[str, Any] | UnsetType | None = UNSET


class UserIds(Body, frozen=True, kw_only=True):
    user_ids: Ids


class PasswordGuess(Body, frozen=True, kw_only=True):
    password: str

    def __repr__(self) -> str:
        return "PasswordGuess(…)"


class CodeGuess(Body, frozen=True, kw_only=True):
    code: str


class SetPasswordCompromised(Body, frozen=True, kw_only=True):
    revoke_all_sessions: bool | None = None


class RemovePassword(Body, frozen=True, kw_only=True):
    sign_out_of_other_sessions: bool = False

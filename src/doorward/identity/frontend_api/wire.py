"""Clerk's Frontend API resources. Names, order and nullability are Clerk's; times are milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from doorward.identity.resources.sessions import Session
from doorward.identity.resources.users import Verification

T = TypeVar("T")


class Wrapped(msgspec.Struct, Generic[T]):
    """Every resource endpoint's body; `client` replaces the SDK's whole client state after a change."""

    response: T
    client: Client | None


class ErrorMeta(msgspec.Struct):
    """A refusal that changed the client all the same."""

    client: Client


class SignUpVerification(msgspec.Struct, omit_defaults=True):
    """Before a code was asked for it has the last two members only: the UI takes more for a code under way."""

    next_action: str
    supported_strategies: list[str]
    object: str | None = None
    status: str | None = None
    strategy: str | None = None
    attempts: int | None = None
    expire_at: int | None = None


class SignUpVerifications(msgspec.Struct):
    email_address: SignUpVerification | None
    phone_number: None = None
    web3_wallet: None = None
    external_account: None = None


class Factor(msgspec.Struct, omit_defaults=True):
    strategy: str
    safe_identifier: str | None = None
    email_address_id: str | None = None
    primary: bool | None = None


class UserData(msgspec.Struct):
    first_name: str | None
    last_name: str | None
    image_url: str
    profile_image_url: str
    has_image: bool


class SignIn(msgspec.Struct):
    id: str
    status: str
    supported_identifiers: list[str]
    supported_first_factors: list[Factor] | None
    first_factor_verification: Verification | None
    identifier: str | None
    user_data: UserData | None
    created_session_id: str | None
    abandon_at: int
    object: str = "sign_in_attempt"
    supported_second_factors: None = None
    second_factor_verification: None = None
    client_trust_state: str = "pending"


class SignUp(msgspec.Struct):
    id: str
    status: str
    required_fields: list[str]
    optional_fields: list[str]
    missing_fields: list[str]
    unverified_fields: list[str]
    verifications: SignUpVerifications
    email_address: str | None
    password_enabled: bool
    has_password: bool
    first_name: str | None
    last_name: str | None
    unsafe_metadata: msgspec.Raw
    created_session_id: str | None
    created_user_id: str | None
    abandon_at: int
    object: str = "sign_up_attempt"
    username: None = None
    phone_number: None = None
    web3_wallet: None = None
    public_metadata: dict[str, str] = {}
    custom_action: bool = False
    external_id: None = None
    locale: None = None
    external_account: None = None
    external_account_strategy: None = None
    legal_accepted_at: None = None


class Client(msgspec.Struct):
    id: str
    sessions: list[Session]
    sign_in: SignIn | None
    sign_up: SignUp | None
    last_active_session_id: str | None
    last_authentication_strategy: str | None
    created_at: int
    updated_at: int
    object: str = "client"
    cookie_expires_at: None = None
    captcha_bypass: bool = False


class SessionReverification(msgspec.Struct):
    level: str
    status: str
    supported_first_factors: list[Factor] | None
    first_factor_verification: Verification | None
    session: Session
    object: str = "session_reverification"
    supported_second_factors: None = None
    second_factor_verification: None = None


class DeletedObject(msgspec.Struct):
    object: str
    id: str
    slug: str = ""
    deleted: bool = True


class Paged(msgspec.Struct, Generic[T]):
    """A page of a list, and how many there are in all."""

    data: Sequence[T]
    total_count: int


class Image(msgspec.Struct):
    id: str
    name: str
    public_url: str
    object: str = "image"


class DevBrowser(msgspec.Struct):
    id: str
    instance_id: str
    token: str
    created_at: int
    updated_at: int
    object: str = "dev_browser"
    client_id: None = None
    home_origin: None = None


class ConsentScope(msgspec.Struct):
    scope: str
    description: str | None
    requires_consent: bool


class ConsentInfo(msgspec.Struct):
    oauth_application_name: str
    client_id: str
    state: str
    redirect_domain: str | None
    scopes: list[ConsentScope]
    object: str = "oauth_consent_info"
    oauth_application_logo_url: str | None = None
    oauth_application_url: None = None


class Health(msgspec.Struct):
    status: str = "healthy"

"""Clerk's Frontend API resources. Names, order and nullability are Clerk's; times are milliseconds."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Wrapped(msgspec.Struct, Generic[T]):
    """Every resource endpoint's body; `client` replaces the SDK's whole client state after a change."""

    response: T
    client: Client | None


class ErrorItem(msgspec.Struct):
    message: str
    long_message: str
    code: str
    meta: dict[str, object]


class ErrorMeta(msgspec.Struct):
    client: Client


class ErrorBody(msgspec.Struct, omit_defaults=True):
    errors: list[ErrorItem]
    clerk_trace_id: str
    meta: ErrorMeta | None = None


class Verification(msgspec.Struct):
    object: str
    status: str
    strategy: str
    attempts: int | None
    expire_at: int | None


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


class EmailAddress(msgspec.Struct):
    id: str
    email_address: str
    verification: Verification | None
    created_at: int
    updated_at: int
    object: str = "email_address"
    reserved: bool = False
    linked_to: list[str] = []
    matches_sso_connection: bool = False


class PhoneNumber(msgspec.Struct):
    id: str
    phone_number: str
    reserved_for_second_factor: bool
    verification: Verification | None
    created_at: int
    updated_at: int
    object: str = "phone_number"
    default_second_factor: bool = False
    reserved: bool = False
    linked_to: list[str] = []
    backup_codes: None = None


class User(msgspec.Struct):
    id: str
    first_name: str | None
    last_name: str | None
    image_url: str
    profile_image_url: str
    has_image: bool
    username: str | None
    external_id: str | None
    locale: str | None
    primary_email_address_id: str
    primary_phone_number_id: str | None
    password_enabled: bool
    email_addresses: list[EmailAddress]
    phone_numbers: list[PhoneNumber]
    password_last_updated_at: int | None
    public_metadata: msgspec.Raw
    unsafe_metadata: msgspec.Raw
    last_sign_in_at: int | None
    banned: bool
    locked: bool
    lockout_expires_in_seconds: int | None
    delete_self_enabled: bool
    create_organization_enabled: bool
    create_organizations_limit: int | None
    legal_accepted_at: int | None
    created_at: int
    updated_at: int
    last_active_at: int | None
    object: str = "user"
    primary_web3_wallet_id: None = None
    two_factor_enabled: bool = False
    totp_enabled: bool = False
    backup_code_enabled: bool = False
    web3_wallets: list[str] = []
    passkeys: list[str] = []
    organization_memberships: list[str] = []
    external_accounts: list[str] = []
    saml_accounts: list[str] = []
    enterprise_accounts: list[str] = []
    verification_attempts_remaining: int = 100
    mfa_enabled_at: None = None
    mfa_disabled_at: None = None


class PublicUserData(msgspec.Struct):
    first_name: str | None
    last_name: str | None
    image_url: str
    profile_image_url: str
    identifier: str
    user_id: str
    banned: bool
    has_image: bool
    username: str | None
    deprovisioned: bool = False


class Token(msgspec.Struct):
    jwt: str
    object: str = "token"


class SessionActivity(msgspec.Struct):
    id: str
    device_type: str | None
    is_mobile: bool
    browser_name: str | None
    browser_version: str | None
    ip_address: str
    object: str = "session_activity"
    city: str = ""
    country: str = ""


class Session(msgspec.Struct):
    id: str
    status: str
    expire_at: int
    abandon_at: int
    last_active_at: int
    factor_verification_age: tuple[int, int]
    created_at: int
    updated_at: int
    user: User | None
    public_user_data: PublicUserData | None
    last_active_token: Token | None
    actor: msgspec.Raw | None
    latest_activity: SessionActivity | None = None
    object: str = "session"
    last_active_organization_id: None = None
    tasks: list[str] = []


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
    oauth_application_logo_url: None = None
    oauth_application_url: None = None


class Health(msgspec.Struct):
    status: str = "healthy"

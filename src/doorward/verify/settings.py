"""What an authenticator is told once, checked when it is made, and which of it a browser may see."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Collection, Mapping
from hashlib import sha1
from typing import Literal, cast
from urllib.parse import urlsplit

import msgspec

from doorward.jose import Algorithm, InvalidKey, PublicKey
from doorward.verify.errors import ConfigurationError
from doorward.verify.jwt import ClaimRules
from doorward.verify.results import TokenType

CLERK_API_URL = "https://api.clerk.com"
TOKEN_TYPES: tuple[TokenType, ...] = ("session_token", "api_key", "m2m_token", "oauth_token")
AcceptsToken = Literal["any"] | TokenType | Collection[TokenType]
Accepted = Literal["any"] | TokenType | frozenset[TokenType]


class PublishableKey(msgspec.Struct, frozen=True):
    """`pk_test_` or `pk_live_` and the Frontend API's host: an instance's name, safe to show to browsers.

    `cookie_suffix` tells the cookies of several instances on one host apart."""

    text: str
    frontend_api: str
    is_development: bool
    cookie_suffix: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """See `Authenticator` for what each means."""

    publishable_key: PublishableKey | None
    secret_key: str
    machine_secret_key: str
    jwt_key: PublicKey | None
    api_url: str
    jwks_url: str | None
    frontend_api: str
    rules: ClaimRules
    sign_in_url: str
    sign_up_url: str

    def __repr__(self) -> str:
        return f"Settings(api_url={self.api_url!r}, frontend_api={self.frontend_api!r})"

    @property
    def can_resolve_keys(self) -> bool:
        return bool(self.jwt_key or self.jwks_url or self.secret_key)


def make_settings(
    *,
    publishable_key: str | None = None,
    secret_key: str | None = None,
    machine_secret_key: str | None = None,
    jwt_key: str | PublicKey | None = None,
    api_url: str | None = None,
    jwks_url: str | None = None,
    proxy_url: str | None = None,
    audience: str | Collection[str] | None = None,
    authorized_parties: Collection[str] | None = None,
    issuer: str | Collection[str] | None = None,
    clock_skew: float = 5.0,
    sign_in_url: str = "",
    sign_up_url: str = "",
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings, an option given beating its `CLERK_*` variable. Raises ConfigurationError."""
    environ = os.environ if environment is None else environment
    key = publishable_key or environ.get("CLERK_PUBLISHABLE_KEY", "")
    pem = jwt_key or environ.get("CLERK_JWT_KEY", "")
    if clock_skew < 0:
        raise ConfigurationError("clock_skew is a number of seconds and not negative")
    if isinstance(authorized_parties, str):
        raise ConfigurationError("authorized_parties is a list of origins, not one string")
    parsed = parse_publishable_key(key) if key else None
    return Settings(
        publishable_key=parsed,
        secret_key=secret_key or environ.get("CLERK_SECRET_KEY", ""),
        machine_secret_key=machine_secret_key or environ.get("CLERK_MACHINE_SECRET_KEY", ""),
        jwt_key=pem if isinstance(pem, PublicKey) else parse_jwt_key(pem) if pem else None,
        api_url=_url(
            "api_url (CLERK_API_URL)", api_url or environ.get("CLERK_API_URL") or CLERK_API_URL
        ).rstrip("/"),
        jwks_url=_url("jwks_url", jwks_url) if jwks_url else None,
        frontend_api=proxy_url or (parsed.frontend_api if parsed else ""),
        rules=ClaimRules(
            audience=_listed(audience),
            authorized_parties=_listed(authorized_parties),
            issuers=_listed(issuer),
            clock_skew=float(clock_skew),
        ),
        sign_in_url=sign_in_url,
        sign_up_url=sign_up_url,
    )


def client_configuration(settings: Settings) -> dict[str, str]:
    """What a page may be told. Built from the public settings by name: no secret can slip in by being added."""
    return {
        "publishableKey": settings.publishable_key.text if settings.publishable_key else "",
        "frontendApi": settings.frontend_api,
        "signInUrl": settings.sign_in_url,
        "signUpUrl": settings.sign_up_url,
    }


def parse_publishable_key(text: str) -> PublishableKey:
    """The parts of a publishable key. Raises ConfigurationError."""
    prefix, _, encoded = text.rpartition("_")
    if prefix not in ("pk_test", "pk_live"):
        raise ConfigurationError("the publishable key begins with pk_test_ or pk_live_; copy it again")
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise ConfigurationError("the publishable key is damaged; copy it again") from None
    host = decoded.removesuffix("$")
    if host == decoded or "$" in host or "." not in host:
        raise ConfigurationError("the publishable key names no host; copy it again")
    # SHA-1 names cookies here, as Clerk's scripts in the browser do; nothing is protected by it.
    digest = base64.urlsafe_b64encode(sha1(text.encode(), usedforsecurity=False).digest()).decode()
    return PublishableKey(text, host, prefix == "pk_test", digest[:8])


def parse_jwt_key(pem: str) -> PublicKey:
    """The instance's public key as PEM, on one line or many, with or without its armour. Raises ConfigurationError."""
    body = (
        pem.replace("\\n", "\n")
        .replace("-----BEGIN PUBLIC KEY-----", "")
        .replace("-----END PUBLIC KEY-----", "")
    )
    text = f"-----BEGIN PUBLIC KEY-----\n{''.join(body.split())}\n-----END PUBLIC KEY-----\n"
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256", "EdDSA")
    for alg in algorithms:
        try:
            return PublicKey.from_pem(text, alg=alg)
        except InvalidKey:
            continue
    raise ConfigurationError(
        "jwt_key (CLERK_JWT_KEY) is not a public key in PEM that tokens are signed with: RSA of 2048 bits and "
        "more, P-256 or Ed25519"
    )


_RENAMED = {"machine_token": "m2m_token"}


def read_accepts(accepts: AcceptsToken) -> Accepted:
    """`accepts_token` in one form; `machine_token`, the older name, means `m2m_token`. Raises ConfigurationError."""
    if isinstance(accepts, str):
        one = _RENAMED.get(accepts, accepts)
        if one != "any" and one not in TOKEN_TYPES:
            raise ConfigurationError(f"accepts_token is any, or of {', '.join(TOKEN_TYPES)}; not {accepts!r}")
        return cast(Accepted, one)
    several = frozenset(_RENAMED.get(name, name) for name in accepts)
    if not several or not several <= set(TOKEN_TYPES):
        raise ConfigurationError(f"accepts_token lists some of {', '.join(TOKEN_TYPES)}")
    return cast(Accepted, several)


def check_sufficient(settings: Settings, accepts: Accepted) -> None:
    """Whether tokens of these kinds can be verified with what is configured. Raises ConfigurationError."""
    if accepts == "m2m_token":
        if not (settings.machine_secret_key or settings.can_resolve_keys):
            raise ConfigurationError(
                "Machine token authentication requires either a Machine secret key or a Clerk secret key. "
                "Set CLERK_MACHINE_SECRET_KEY or CLERK_SECRET_KEY."
            )
    elif not settings.can_resolve_keys:
        raise ConfigurationError(
            "Missing Clerk Secret Key. Set CLERK_SECRET_KEY, or verify offline with CLERK_JWT_KEY or jwks_url."
        )


def _url(option: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        is_url = False
    if not is_url:
        raise ConfigurationError(f"{option} is a URL, not {text!r}")
    return text


def _listed(given: str | Collection[str] | None) -> tuple[str, ...]:
    if given is None or isinstance(given, str):
        return (given,) if given else ()
    return tuple(name for name in given if name)

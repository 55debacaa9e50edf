"""The document `kind: AuthConfig`: every version as its documentation has it; anything else is an error with its path."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, UnsetType

from doorward.jose import FOREIGN_ALGORITHMS, ForeignKey, InvalidKey
from doorward.verify.hasura.pointers import parse_pointer

MODE_HEADER = "x-hasura-auth-mode"
DEFAULT_ROLE = "x-hasura-default-role"
ALLOWED_ROLES = "x-hasura-allowed-roles"
DEFAULT_SKEW_SECONDS = 60  # of the library the engine is built with


class AuthConfigInvalid(Exception):
    """The document cannot be used; the message says where and why."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    pass


class _OneOf(_Strict, frozen=True):
    """Exactly one of the members."""

    def __post_init__(self) -> None:
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not UNSET]
        if len(given) != 1:
            listed = ", ".join(self.__struct_encode_fields__)
            raise ValueError(f"exactly one of {listed} must be given, not {len(given)}")


class Environment(_Strict, frozen=True):
    """Text from the configuration or from a variable of the environment."""

    value: str | UnsetType = UNSET
    value_from_env: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.value is UNSET) == (self.value_from_env is UNSET):
            raise ValueError("exactly one of value, valueFromEnv must be given")

    def text(self, environ: Mapping[str, str]) -> str:
        """Raises AuthConfigInvalid: an unset variable must never become an empty key."""
        if self.value is not UNSET:
            return self.value
        assert self.value_from_env is not UNSET
        found = environ.get(self.value_from_env, "")
        if not found:
            raise AuthConfigInvalid(
                f"The environment has no {self.value_from_env}, which the AuthConfig names."
            )
        return found


class PathEntry(_Strict, frozen=True):
    """Where in the token a claim is, and what stands in for it where it is not."""

    path: str
    default: Any = UNSET

    def __post_init__(self) -> None:
        parse_pointer(self.path)

    @property
    def steps(self) -> tuple[str, ...]:
        return parse_pointer(self.path)


class ClaimEntry(_OneOf, frozen=True):
    literal: Any = UNSET
    path: PathEntry | UnsetType = UNSET


class Namespace(_Strict, frozen=True):
    claims_format: Literal["Json", "StringifiedJson"]
    location: str

    def __post_init__(self) -> None:
        parse_pointer(self.location)

    @property
    def steps(self) -> tuple[str, ...]:
        return parse_pointer(self.location)


class ClaimsConfig(_OneOf, frozen=True):
    namespace: Namespace | UnsetType = UNSET
    locations: dict[str, ClaimEntry] | UnsetType = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (DEFAULT_ROLE, ALLOWED_ROLES):
            if self.locations is not UNSET and name not in self.locations:
                raise ValueError(f"locations must tell where {name} is")


class BearerAuthorization(_Strict, frozen=True, tag_field="type", tag="BearerAuthorization"):
    pass


class CookieLocation(_Strict, frozen=True, tag_field="type", tag="Cookie"):
    name: str


class HeaderLocation(_Strict, frozen=True, tag_field="type", tag="Header"):
    name: str


class FixedKey(_Strict, frozen=True):
    algorithm: str
    key: Environment

    def __post_init__(self) -> None:
        if self.algorithm not in FOREIGN_ALGORITHMS:
            raise ValueError(f"algorithm is one of {', '.join(sorted(FOREIGN_ALGORITHMS))}")


class KeyConfig(_OneOf, frozen=True):
    fixed: FixedKey | UnsetType = UNSET
    jwk_from_url: str | UnsetType = UNSET


class JwtMode(_Strict, frozen=True):
    """`allowed_skew`: seconds."""

    claims_config: ClaimsConfig
    token_location: BearerAuthorization | CookieLocation | HeaderLocation
    key: KeyConfig
    audience: list[str] | None = None
    issuer: str | None = None
    allowed_skew: Annotated[int, msgspec.Meta(ge=0)] | None = None

    @property
    def skew(self) -> int:
        return DEFAULT_SKEW_SECONDS if self.allowed_skew is None else self.allowed_skew


class NoAuthMode(_Strict, frozen=True):
    role: str
    session_variables: dict[str, Any]


class Forwarded(_Strict, frozen=True):
    """`forward`: all headers (`*`) or those named; `additional` are set as they are."""

    forward: Literal["*"] | list[str] | UnsetType = UNSET
    additional: dict[str, str] = {}


class WebhookBody(_Strict, frozen=True):
    headers: Forwarded = Forwarded()


class CustomHeaders(_Strict, frozen=True):
    headers: Forwarded = Forwarded()
    body: WebhookBody = WebhookBody()


class WebhookModeV3(_Strict, frozen=True):
    method: Literal["GET", "POST"]
    url: Environment
    custom_headers_config: CustomHeaders | None = None


class WebhookModeV2(_Strict, frozen=True):
    url: str
    method: Literal["Get", "Post"]

    def upgraded(self) -> WebhookModeV3:
        return WebhookModeV3("GET" if self.method == "Get" else "POST", Environment(self.url))


class ModeV2(_OneOf, frozen=True):
    webhook: WebhookModeV2 | UnsetType = UNSET
    jwt: JwtMode | UnsetType = UNSET
    no_auth: NoAuthMode | UnsetType = UNSET


class ModeV3(_OneOf, frozen=True):
    webhook: WebhookModeV3 | UnsetType = UNSET
    jwt: JwtMode | UnsetType = UNSET
    no_auth: NoAuthMode | UnsetType = UNSET


class _DefinitionV1(_Strict, frozen=True):
    mode: ModeV2
    allow_role_emulation_by: str | None = None


class _DefinitionV2(_Strict, frozen=True):
    mode: ModeV2


class _DefinitionV3(_Strict, frozen=True):
    mode: ModeV3


class _AlternativeMode(_Strict, frozen=True):
    identifier: str
    config: ModeV3


class _DefinitionV4(_Strict, frozen=True):
    mode: ModeV3
    alternative_modes: list[_AlternativeMode] = []

    def __post_init__(self) -> None:
        names = [mode.identifier for mode in self.alternative_modes]
        if len(set(names)) != len(names):
            raise ValueError("two alternative modes share an identifier")


class _Document(_Strict, frozen=True):
    kind: Literal["AuthConfig"]
    version: Literal["v1", "v2", "v3", "v4"]
    definition: Any


Mode = JwtMode | NoAuthMode | WebhookModeV3


class AuthConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was read. `fixed_keys` belong to the modes of the same name ("" is the primary one)."""

    DEFINITIONS: ClassVar[dict[str, Any]] = {
        "v1": _DefinitionV1,
        "v2": _DefinitionV2,
        "v3": _DefinitionV3,
        "v4": _DefinitionV4,
    }

    version: str
    mode: Mode
    alternative_modes: dict[str, Mode]
    fixed_keys: dict[str, ForeignKey]
    emulation_role: str | None
    warnings: list[str]

    def mode_for(self, identifier: str | None) -> tuple[str, Mode]:
        """The mode a request asks for; an unknown name means the primary one, as in the engine."""
        if identifier is not None and identifier in self.alternative_modes:
            return identifier, self.alternative_modes[identifier]
        return "", self.mode


def read_auth_config(
    document: str | Mapping[str, Any], *, environ: Mapping[str, str] | None = None
) -> AuthConfig:
    """From the document's text, JSON or (with PyYAML installed) YAML, or from what it parsed to. Raises AuthConfigInvalid."""
    if isinstance(document, str):
        document = _parsed(document)
    environ = os.environ if environ is None else environ
    outer = _converted(document, _Document, "")
    definition = _converted(outer.definition, AuthConfig.DEFINITIONS[outer.version], ".definition")
    modes = {"": _chosen(definition.mode)}
    if isinstance(definition, _DefinitionV4):
        modes |= {each.identifier: _chosen(each.config) for each in definition.alternative_modes}
    emulation = definition.allow_role_emulation_by if isinstance(definition, _DefinitionV1) else None
    return AuthConfig(
        version=outer.version,
        mode=modes[""],
        alternative_modes={name: mode for name, mode in modes.items() if name},
        fixed_keys=_fixed_keys(modes, environ),
        emulation_role=emulation,
        warnings=_warnings(outer.version, emulation, modes),
    )


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        if text.lstrip().startswith("{"):
            value = msgspec.json.decode(text.encode())
        else:
            value = msgspec.yaml.decode(text.encode())
    except ImportError:
        raise AuthConfigInvalid(
            "Reading YAML needs PyYAML: install it, or give the document as JSON."
        ) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise AuthConfigInvalid(f"The AuthConfig cannot be read: {error}.") from None
    if not isinstance(value, dict):
        raise AuthConfigInvalid("The AuthConfig is not an object.")
    return value


def _converted(value: Any, expected: Any, where: str) -> Any:
    try:
        return msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        sentence, _, place = str(error).partition(" - at ")
        path = "$" + where + place.strip("`").removeprefix("$")
        raise AuthConfigInvalid(f"The AuthConfig is wrong at {path}: {sentence}.") from None


def _chosen(mode: ModeV2 | ModeV3) -> Mode:
    for each in (mode.jwt, mode.no_auth):
        if each is not UNSET:
            return each
    assert mode.webhook is not UNSET
    return mode.webhook.upgraded() if isinstance(mode.webhook, WebhookModeV2) else mode.webhook


def _fixed_keys(modes: Mapping[str, Mode], environ: Mapping[str, str]) -> dict[str, ForeignKey]:
    keys = {}
    for name, mode in modes.items():
        if isinstance(mode, WebhookModeV3):
            mode.url.text(environ)  # an unset variable is told now, not at the first request
        if isinstance(mode, JwtMode) and mode.key.fixed is not UNSET:
            fixed = mode.key.fixed
            try:
                keys[name] = ForeignKey.from_text(fixed.key.text(environ), fixed.algorithm)
            except InvalidKey as refused:
                raise AuthConfigInvalid(
                    f"The fixed key for {fixed.algorithm} cannot be used: {refused}."
                ) from None
    return keys


def _warnings(version: str, emulation: str | None, modes: Mapping[str, Mode]) -> list[str]:
    found = []
    if version == "v1":
        found.append("AuthConfig v1 is deprecated: the engine warns at every build.")
    if emulation is not None:
        found.append(
            f"Whoever holds a token with x-hasura-role {emulation} may act as any role, with any session variables."
        )
    for name, mode in modes.items():
        of = f"mode {name}" if name else "the primary mode"
        if isinstance(mode, NoAuthMode):
            found.append(f"In {of} nobody is asked who they are: every request is {mode.role}.")
        if isinstance(mode, JwtMode) and not mode.audience:
            found.append(
                f"In {of} no audience is set: the engine refuses tokens with aud, or, before 2025-03-11, takes those for anybody."
            )
        if isinstance(mode, JwtMode) and not mode.issuer:
            found.append(f"In {of} no issuer is set: iss is not compared.")
    return found

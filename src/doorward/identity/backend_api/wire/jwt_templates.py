"""JWT templates on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from doorward.identity.backend_api.wire.shapes import Body


class JwtTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; the last two are milliseconds since the epoch. A key of its own is never told."""

    id: str
    name: str
    claims: dict[str, Any]
    lifetime: int
    allowed_clock_skew: int
    custom_signing_key: bool
    signing_algorithm: str
    created_at: int
    updated_at: int
    object: str = "jwt_template"


class TemplateBody(Body, frozen=True, kw_only=True):
    """A template as somebody wants it. Null and absent alike: as it is, or the default."""

    name: str
    claims: dict[str, Any]
    lifetime: int | None = None
    allowed_clock_skew: int | None = None
    custom_signing_key: bool | None = None
    signing_algorithm: str | None = None
    signing_key: str | None = None

    def __repr__(self) -> str:
        return f"TemplateBody({self.name})"


class PreviewBody(Body, frozen=True, kw_only=True):
    """Claims that may become a template's, and for whom to try them."""

    claims: dict[str, Any]
    user_id: str


class PreviewWarning(msgspec.Struct, frozen=True):
    """`claim` is the path of what is meant: `claims.roles.0`."""

    code: str
    claim: str
    message: str


class JwtTemplatePreview(msgspec.Struct, frozen=True, kw_only=True):
    """`size`: bytes of the claims' JSON."""

    claims: dict[str, Any]
    size: int
    warnings: list[PreviewWarning]
    object: str = "jwt_template_preview"

"""Making a JWT (RFC 7519): header `alg`, `typ`, then `kid`, then what the caller adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from doorward.jose.base64url import b64url_encode
from doorward.jose.foreign import ForeignSigningKey
from doorward.jose.keys import SigningKey


def sign_jwt(
    claims: msgspec.Struct | Mapping[str, Any],
    key: SigningKey | ForeignSigningKey,
    *,
    typ: str,
    header: Mapping[str, Any] | None = None,
    include_kid: bool = True,
) -> str:
    """The compact JWT of `claims`. A struct's UNSET fields (and its defaults, with `omit_defaults`) stay
    out of it. Raises ValueError when `header` would replace `alg` or `typ`."""
    protected: dict[str, Any] = {"alg": key.alg, "typ": typ}
    if include_kid and key.kid is not None:
        protected["kid"] = key.kid
    if header:
        if not protected.keys().isdisjoint(header):
            raise ValueError("alg, typ and kid are not the caller's to choose here")
        protected |= header
    text = f"{b64url_encode(msgspec.json.encode(protected))}.{b64url_encode(msgspec.json.encode(claims))}"
    return f"{text}.{b64url_encode(key.sign(text.encode('ascii')))}"

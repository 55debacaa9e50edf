"""Where a request carries its token, and whether the token is good by the engine's rules. Pure.

Those rules are laxer than `doorward.verify` elsewhere: `nbf` and `iat` are not looked at, a token without `iss` or `aud`
passes, and `exp` is forgiven 60 seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from doorward.jose import ForeignKey, JoseError, MalformedToken
from doorward.jose.compact import split_compact
from doorward.jose.strict_json import decode_object
from doorward.verify.hasura.auth_config import CookieLocation, HeaderLocation, JwtMode
from doorward.verify.hasura.errors import HasuraRefused

#: kid -> algorithm -> key
JwkKeys = Mapping[str, Mapping[str, ForeignKey]]


def token_of(headers: Mapping[str, str], mode: JwtMode) -> str:
    """`headers` have lower-case names. Raises HasuraRefused (400)."""
    match mode.token_location:
        case HeaderLocation(name=name):
            if name.lower() not in headers:
                raise HasuraRefused("token_missing", f"The request has no header {name}.")
            return headers[name.lower()]
        case CookieLocation(name=name):
            return _of_cookie(headers, name)
        case _:
            return _of_authorization(headers)


def _of_authorization(headers: Mapping[str, str]) -> str:
    if "authorization" not in headers:
        raise HasuraRefused("token_missing", "The request has no header Authorization.")
    parts = headers["authorization"].split()
    if len(parts) != 2 or parts[0] != "Bearer":
        raise HasuraRefused(
            "token_location_invalid", "The header Authorization is not: Bearer, a blank, a token."
        )
    return parts[1]


def _of_cookie(headers: Mapping[str, str], name: str) -> str:
    if "cookie" not in headers:
        raise HasuraRefused("token_missing", "The request has no cookies.")
    for pair in headers["cookie"].split(";"):
        key, separator, value = pair.strip().partition("=")
        if key == name:
            if not separator:
                raise HasuraRefused("token_location_invalid", f"The cookie {name} has no value.")
            return value
    raise HasuraRefused("token_missing", f"The request has no cookie {name}.")


def kid_of(token: str) -> str:
    """The key a token names, which a key set needs. Raises HasuraRefused (400)."""
    try:
        kid = split_compact(token)[0].get("kid")
    except MalformedToken as error:
        raise HasuraRefused("token_invalid", f"InvalidToken: {error}.") from None
    if not isinstance(kid, str):
        raise HasuraRefused("kid_missing", "The token names no key (kid), and a key set may hold several.")
    return kid


def verified_claims(
    token: str,
    mode: JwtMode,
    *,
    fixed: ForeignKey | None,
    keys: JwkKeys,
    now: int,
    aud_needs_audience: bool = True,
) -> dict[str, Any]:
    """The claims of a good token. `now` in seconds. `aud_needs_audience`: a token with `aud` is refused where no audience
    is configured, as from the compatibility date 2025-03-11 on. Raises HasuraRefused."""
    try:
        header, payload, signing_input, signature = split_compact(token)
        key = fixed if fixed is not None else _of_key_set(token, header["alg"], keys)
        if key.alg != header["alg"]:
            raise HasuraRefused("token_invalid", "InvalidAlgorithm: the token's is not the key's.")
        if not key.verify(signature, signing_input):
            raise HasuraRefused("token_invalid", "InvalidSignature: the token is not signed with this key.")
        claims = decode_object(payload)
    except JoseError as error:
        raise HasuraRefused("token_invalid", f"InvalidToken: {error}.") from None
    _check_expiry(claims, now - mode.skew)
    if mode.issuer is not None and claims.get("iss", mode.issuer) != mode.issuer:
        raise HasuraRefused("token_invalid", f"InvalidIssuer: iss is not {mode.issuer}, to the letter.")
    if "aud" in claims:
        _check_audience(claims["aud"], mode.audience, aud_needs_audience)
    return claims


def _of_key_set(token: str, alg: str, keys: JwkKeys) -> ForeignKey:
    family = keys.get(kid_of(token))
    if family is None:
        raise HasuraRefused("key_not_found", "The key set has no key of the token's kid.")
    if alg not in family:
        raise HasuraRefused("token_invalid", "InvalidAlgorithm: the token's is none of the key's family.")
    return family[alg]


def _check_expiry(claims: Mapping[str, Any], latest: int) -> None:
    if "exp" not in claims:
        raise HasuraRefused("token_invalid", "Missing required claim: exp.")
    exp = claims["exp"]
    if type(exp) not in (int, float) or not isfinite(exp):
        raise HasuraRefused("token_invalid", "InvalidToken: exp is not a number.")
    if exp < latest:
        raise HasuraRefused("token_invalid", "ExpiredSignature: the token has expired.")


def _check_audience(aud: object, wanted: list[str] | None, aud_needs_audience: bool) -> None:
    if not wanted:
        if aud_needs_audience:
            raise HasuraRefused(
                "token_invalid", "InvalidAudience: the token has aud, and no audience is configured."
            )
        return
    listed = aud if isinstance(aud, list) else [aud]
    if not any(audience in wanted for audience in listed if isinstance(audience, str)):
        raise HasuraRefused("token_invalid", "InvalidAudience: the token is for somebody else.")

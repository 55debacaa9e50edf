"""Checking a JWT: syntax, algorithm and key, signature, `typ`, claims, schema, in that order (RFC 8725)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from math import isfinite
from typing import Any, Generic, TypeVar, cast

import msgspec

from doorward.jose.compact import split_compact
from doorward.jose.errors import (
    AlgorithmRefused,
    ClaimRefused,
    InvalidSignature,
    TokenExpired,
    UnknownKey,
)
from doorward.jose.keys import KeySet, PublicKey, SecretKey, VerifyingKey
from doorward.jose.strict_json import decode_object

T = TypeVar("T")


class Verified(msgspec.Struct, Generic[T], frozen=True):
    """An authentic token: its claims, its protected header (read-only) and the key that signed it."""

    claims: T
    header: Mapping[str, Any]
    key: VerifyingKey


def verify_jwt(
    token: str,
    keys: VerifyingKey | KeySet | Iterable[VerifyingKey],
    *,
    claims: type[T],
    now: int,
    typ: str | tuple[str | None, ...] | None,
    issuer: str | None = None,
    audience: str | None = None,
    algorithms: Collection[str] | None = None,
    leeway: int = 0,
    max_age: int | None = None,
    required: Iterable[str] = ("exp",),
) -> Verified[T]:
    """The claims of `token` as `claims` (a msgspec type, dict, or msgspec.Raw), once everything about it holds.

    Times are seconds: `now - leeway` must lie before `exp`; `nbf` and `iat` at or before `now + leeway`;
    with `max_age`, `iat` is required and `now - iat - leeway <= max_age`.
    `keys`: one key is pinned, whatever `kid` the token names, unless both name one and differ; of several,
    `kid` chooses. `algorithms` narrows the header's names, such as ("EdDSA",) to shut out `Ed25519`.
    `typ` ignores case and an `application/` prefix; None in a tuple permits its absence; None alone skips
    the check. `issuer` and `audience`, when given, make `iss` and `aud` required.

    Raises MalformedToken, AlgorithmRefused, UnknownKey, InvalidSignature, ClaimRefused (TokenExpired).
    """
    payload, header, key = _authenticate(token, keys, algorithms)
    values = decode_object(payload)
    if typ is not None and header.get("typ") != typ:
        _check_typ(header.get("typ"), typ)
    if max_age is not None:
        required = (*required, "iat")
    _check_claims(values, issuer, audience, required)
    _check_times(values, now, leeway, max_age)
    result: Any = values if claims is dict else _as_type(payload, claims)
    return Verified(result, header, key)


def verify_jws(
    token: str,
    keys: VerifyingKey | KeySet | Iterable[VerifyingKey],
    *,
    algorithms: Collection[str] | None = None,
) -> bytes:
    """The payload of a signed message that is not a JWT. Keys, algorithms and errors as `verify_jwt`."""
    return _authenticate(token, keys, algorithms)[0]


def peek_header(token: str) -> Mapping[str, Any]:
    """The header WITHOUT verification: anybody may have written it. Raises MalformedToken."""
    return split_compact(token)[0]


def peek_claims(token: str, claims: type[T]) -> T:
    """The claims WITHOUT verification: anybody may have written them. Raises MalformedToken, ClaimRefused."""
    payload = split_compact(token)[1]
    decode_object(payload)
    return _as_type(payload, claims)


def _authenticate(
    token: str,
    keys: VerifyingKey | KeySet | Iterable[VerifyingKey],
    algorithms: Collection[str] | None,
) -> tuple[bytes, Mapping[str, Any], VerifyingKey]:
    header, payload, signing_input, signature = split_compact(token)
    key = _choose_key(header, keys, algorithms)
    if not key.verify(signature, signing_input):
        raise InvalidSignature("the signature is not this key's")
    return payload, header, key


def _choose_key(
    header: Mapping[str, Any],
    keys: VerifyingKey | KeySet | Iterable[VerifyingKey],
    algorithms: Collection[str] | None,
) -> VerifyingKey:
    alg = header["alg"]
    if algorithms is not None and alg not in algorithms:
        raise AlgorithmRefused("the token's algorithm is not accepted here", claim="alg")
    kid = header.get("kid")
    if isinstance(keys, (PublicKey, SecretKey)):
        key = keys
        if kid is not None and key.kid is not None and kid != key.kid:
            raise UnknownKey("the token names another key", claim="kid")
    else:
        key = (keys if isinstance(keys, KeySet) else KeySet(keys)).find(kid, alg)
    if alg not in key.header_names:
        raise AlgorithmRefused("the token's algorithm is not the key's", claim="alg")
    return key


def _check_typ(present: str | None, accepted: str | tuple[str | None, ...]) -> None:
    if isinstance(accepted, str):
        accepted = (accepted,)
    if present in accepted:
        return
    if present is None or _media_type(present) not in {
        _media_type(name) for name in accepted if name is not None
    }:
        raise ClaimRefused("a token of another type", code="typ_mismatch", claim="typ")


def _media_type(typ: str) -> str:
    return typ.lower().removeprefix("application/")


def _check_claims(
    values: dict[str, Any], issuer: str | None, audience: str | None, required: Iterable[str]
) -> None:
    for name in required:
        if name not in values:
            raise ClaimRefused(f"the token lacks {name}", code="missing_claim", claim=name)
    if issuer is not None:
        if "iss" not in values:
            raise ClaimRefused("the token lacks iss", code="missing_claim", claim="iss")
        if values["iss"] != issuer:
            raise ClaimRefused("another issuer's token", code="issuer_mismatch", claim="iss")
    if audience is not None:
        if "aud" not in values:
            raise ClaimRefused("the token lacks aud", code="missing_claim", claim="aud")
        listed = values["aud"]
        if listed != audience and not (isinstance(listed, list) and audience in listed):
            raise ClaimRefused("a token for another audience", code="audience_mismatch", claim="aud")


def _check_times(values: dict[str, Any], now: int, leeway: int, max_age: int | None) -> None:
    # An absent time stands for one that passes; what must be present was checked before.
    not_before, issued, expires = values.get("nbf", now), values.get("iat", now), values.get("exp", now + 1)
    if not (type(not_before) is type(issued) is type(expires) is int):
        _check_numbers(nbf=not_before, iat=issued, exp=expires)
    if not_before > now + leeway:
        raise ClaimRefused("the token is not valid yet", code="not_yet_valid", claim="nbf")
    if expires <= now - leeway:
        raise TokenExpired("the token has expired", claim="exp")
    if max_age is not None and now - issued - leeway > max_age:
        raise TokenExpired("the token is too old", code="too_old", claim="iat")
    if issued > now + leeway:
        raise ClaimRefused("the token was issued in the future", code="issued_in_future", claim="iat")


def _check_numbers(**times: Any) -> None:
    """A NumericDate (RFC 7519 §2) is a number, which true, "1" and null are not."""
    for name, value in times.items():
        if type(value) is not int and not (type(value) is float and isfinite(value)):
            raise ClaimRefused(f"{name} is not a number", code="invalid_claim", claim=name)


@lru_cache(maxsize=128)
def _decoder(claims: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(claims)


def _as_type(payload: bytes, claims: type[T]) -> T:
    try:
        return cast(T, _decoder(cast(Any, claims)).decode(payload))
    except msgspec.ValidationError:
        raise ClaimRefused("the claims have another shape", code="invalid_claim") from None

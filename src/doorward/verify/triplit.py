"""What a Triplit server (1.x) makes of a token: its kind, whether it is good, and which roles it matches. Pure.

This follows the server to the letter, traps included, so that what it accepts can be told beforehand. It is no way to
check tokens for a service of one's own: `iss`, `aud` and `azp` are never looked at, a token without `exp` is good for
ever, and a key text that does not parse becomes a shared secret. docs/data-layers.md tells what follows from that.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from math import isfinite
from typing import Any, Literal

import msgspec

from doorward.jose import (
    FOREIGN_ALGORITHMS,
    ForeignKey,
    InvalidKey,
    MalformedToken,
    foreign_keys_of_jwk,
)
from doorward.jose.compact import split_compact
from doorward.jose.strict_json import decode_object

TOKEN_TYPE = "x-triplit-token-type"
INTERNAL_TYPES = frozenset({"test", "anon", "secret"})
DEFAULT_ROLES: Mapping[str, Mapping[str, Any]] = {
    "anonymous": {TOKEN_TYPE: "anon"},
    "authenticated": {"sub": "$sub"},
}
_PEM = "-----BEGIN PUBLIC KEY-----"
_PEM_END = "-----END PUBLIC KEY-----"
# An object of JavaScript has these without anybody having put them there.
_INHERITED = frozenset(
    ["constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString",
     "valueOf", "__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"]
)  # fmt: skip

Kind = Literal["anonymous", "service", "test", "external"]
_KINDS: dict[str, Kind] = {"anon": "anonymous", "secret": "service", "test": "test"}


class TriplitRefused(Exception):
    """`name` and `status` are Triplit's own; the socket closes with UNAUTHORIZED (INTERNAL_ERROR for 500) instead."""

    def __init__(self, name: str, status: int, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.status = status


class KeyText(msgspec.Struct, frozen=True):
    """What the server takes a key text for.

    `verdict`: `accepted` checks tokens of a key pair; `secret` is a shared secret; `broken` answers every request with 500;
    `forgeable` is a public text used as a shared secret, so that whoever can read it can make tokens.
    """

    verdict: Literal["accepted", "secret", "broken", "forgeable"]
    why: str


class TriplitToken(msgspec.Struct, frozen=True):
    """`claims` are what rules and roles see; `expires_at` (seconds) is None for a socket that never expires."""

    kind: Kind
    claims: Any
    expires_at: float | None

    @property
    def is_administrator(self) -> bool:
        """Skips every permission rule; with a claims path the nested value decides."""
        return isinstance(self.claims, Mapping) and self.claims.get(TOKEN_TYPE) == "secret"


def judge_key_text(text: str) -> KeyText:
    """What `EXTERNAL_JWT_SECRET` or `JWT_SECRET` with this text would do."""
    if not text:
        return KeyText("broken", "There is no key text.")
    if text.startswith(_PEM):
        return _judge_pem(text)
    try:
        jwk = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return _judge_secret(text)
    if not isinstance(jwk, dict):
        return KeyText("broken", "The text is JSON, and no JWK: quote marks around a key do this.")
    if "keys" in jwk:
        return KeyText("broken", "Triplit takes one JWK, not a key set.")
    try:
        foreign_keys_of_jwk(jwk)
    except InvalidKey:
        return KeyText("broken", "The JWK is not a public key that can be used.")
    return KeyText("accepted", "The text is one public JWK.")


def _judge_pem(text: str) -> KeyText:
    if "\\n" in text:
        return KeyText(
            "broken", "The PEM holds the two characters \\n where line breaks, or nothing, should be."
        )
    try:
        _pem_keys(text)
    except InvalidKey:
        return KeyText("broken", "The PEM cannot be read.")
    return KeyText("accepted", "The text is one public key in PEM.")


def _judge_secret(text: str) -> KeyText:
    bare = text.strip().strip("\"'").strip()
    if bare.startswith(_PEM):
        return KeyText(
            "forgeable",
            "A blank or a quote mark before the PEM makes Triplit take the public text for a shared secret.",
        )
    if bare.startswith("-----BEGIN"):
        return KeyText(
            "forgeable", "Only BEGIN PUBLIC KEY (SPKI) is read as a key; this PEM becomes a shared secret."
        )
    if bare.startswith(("http://", "https://")):
        return KeyText("forgeable", "Triplit fetches no key set: the URL itself becomes the shared secret.")
    if bare.count(".") == 2 and bare.startswith("ey"):
        return KeyText("forgeable", "This is a token, not a key: every holder of it could make others.")
    return KeyText("secret", "The text is a shared secret: whoever checks tokens with it can make them.")


def read_token(
    token: str | None,
    *,
    jwt_secret: str | None = None,
    external_jwt_secret: str | None = None,
    claims_path: str | None = None,
    now: float,
) -> TriplitToken:
    """The token as the server reads it, in its order. `now` in seconds. Raises TriplitRefused."""
    if not token:
        raise TriplitRefused("TokenVerificationError", 401, "No token was sent.")
    payload = _decoded(token)
    token_type = payload.get(TOKEN_TYPE)
    kind: Kind = (
        _KINDS[token_type] if isinstance(token_type, str) and token_type in INTERNAL_TYPES else "external"
    )
    claims: Any = payload
    if kind == "external" and claims_path:
        claims = _at(payload, claims_path)
    text = jwt_secret if kind != "external" else external_jwt_secret or jwt_secret
    if not text:
        raise TriplitRefused("TokenVerificationError", 401, "The server has no key for tokens of this kind.")
    _check_signature(token, text)
    _check_times(payload, now)
    if claims is None:
        raise TriplitRefused("Error", 500, f"The token has nothing at the claims path {claims_path}.")
    exp = claims.get("exp") if isinstance(claims, Mapping) else None
    return TriplitToken(kind, claims, exp if type(exp) in (int, float) else None)


def _decoded(token: str) -> dict[str, Any]:
    try:
        return decode_object(split_compact(token)[1])
    except MalformedToken:
        raise TriplitRefused("InvalidTokenPayloadError", 400, "The token is not a JWT.") from None


def _at(payload: Mapping[str, Any], path: str) -> Any:
    value: Any = payload
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _check_signature(token: str, key_text: str) -> None:
    """Raises TriplitRefused: 401, or 500 for a key text that breaks the server."""
    verdict = judge_key_text(key_text)
    if verdict.verdict == "broken":
        raise TriplitRefused("Error", 500, verdict.why)
    header, _, signing_input, signature = split_compact(token)
    alg = header["alg"]
    if alg not in FOREIGN_ALGORITHMS:
        raise _bad_signature(f"The algorithm {alg} is not supported.")
    if verdict.verdict != "accepted":
        if not alg.startswith("HS"):
            raise _bad_signature("The key text is a shared secret, and the token is signed with a key pair.")
        expected = hmac.digest(key_text.encode(), signing_input, getattr(hashlib, f"sha{alg[2:]}"))
        if not hmac.compare_digest(expected, signature):
            raise _bad_signature("The signature is not of this secret.")
        return
    keys = (
        _pem_keys(key_text)
        if key_text.startswith(_PEM)
        else foreign_keys_of_jwk(msgspec.json.decode(key_text))
    )
    if alg not in keys:
        raise _bad_signature(f"The key is not one for {alg}.")
    if not keys[alg].verify(signature, signing_input):
        raise _bad_signature("The signature is not of this key.")


def _pem_keys(text: str) -> dict[str, ForeignKey]:
    """One key per algorithm its family knows; line breaks do not matter. Raises InvalidKey."""
    body = "".join(text.removeprefix(_PEM).partition(_PEM_END)[0].split())
    pem = f"{_PEM}\n{body}\n{_PEM_END}\n"
    keys = {}
    for alg in FOREIGN_ALGORITHMS:
        if not alg.startswith("HS"):
            try:
                keys[alg] = ForeignKey.from_text(pem, alg)
            except InvalidKey:
                continue
    if not keys:
        raise InvalidKey("not a public key in PEM")
    return keys


def _bad_signature(message: str) -> TriplitRefused:
    return TriplitRefused("InvalidTokenSignatureError", 401, message)


def _check_times(payload: Mapping[str, Any], now: float) -> None:
    """No tolerance at all; `exp` and `nbf` count where they are, `iat` never. The errors are named after the signature."""
    for name in ("nbf", "exp"):
        at = payload.get(name, now if name == "nbf" else now + 1)
        if type(at) not in (int, float) or not isfinite(at):
            raise _bad_signature(f"{name} is not a number.")
        if name == "nbf" and at > now:
            raise _bad_signature("nbf says that the token is not valid yet.")
        if name == "exp" and at <= now:
            raise _bad_signature("exp says that the token has expired.")


def matched_roles(
    claims: Any, roles: Mapping[str, Mapping[str, Any]] = DEFAULT_ROLES
) -> dict[str, dict[str, Any]]:
    """Every role whose pattern the claims match, with what it captured (`$role.…`). Raises TriplitRefused (500)."""
    found = {}
    for name, pattern in roles.items():
        captured = match_role(pattern, claims)
        if captured is not None:
            found[name] = captured
    return found


def match_role(pattern: Mapping[str, Any], claims: Any) -> dict[str, Any] | None:
    """What the pattern captures, or None. Raises TriplitRefused (500): a null where the pattern goes deeper ends the request."""
    captured: dict[str, Any] = {}
    return captured if _matches(pattern, claims, captured) else None


def _matches(pattern: Mapping[str, Any] | list[Any], claims: Any, captured: dict[str, Any]) -> bool:
    items = pattern.items() if isinstance(pattern, Mapping) else ((str(n), p) for n, p in enumerate(pattern))
    for name, wanted in items:
        present, value = _member(claims, name)
        if not present:
            return False
        if isinstance(wanted, Mapping | list):
            if not _matches(wanted, value, captured):
                return False
        elif isinstance(wanted, str) and wanted.startswith("$"):
            captured[wanted[1:]] = value
        elif not _is_same(wanted, value):
            return False
    return True


def _member(claims: Any, name: str) -> tuple[bool, Any]:
    """As JavaScript reads a member: lists by index, texts by character, everything with what it inherits."""
    if claims is None:
        raise TriplitRefused("TypeError", 500, f"A role's pattern reads {name} of a claim that is null.")
    if isinstance(claims, Mapping) and name in claims:
        return True, claims[name]
    if isinstance(claims, list | str):
        if name == "length":
            return True, len(claims)
        if name.isascii() and name.isdecimal() and str(int(name)) == name and int(name) < len(claims):
            return True, claims[int(name)]
    return (True, None) if name in _INHERITED else (False, None)


def _is_same(wanted: Any, value: Any) -> bool:
    """Strict equality: numbers with numbers, and true is not 1."""
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    if isinstance(wanted, int | float) and isinstance(value, int | float):
        return wanted == value
    return type(wanted) is type(value) and bool(wanted == value)

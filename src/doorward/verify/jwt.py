"""A JWT read once, then judged: Clerk's checks in Clerk's order, each with its reason.

The signature comes before every claim. What is strict about syntax (unique members, unpadded base64url, no
`crit`) is `doorward.jose`'s; whatever it refuses is `token-invalid` here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from math import isfinite, trunc
from typing import Any

import msgspec

from doorward.jose import JoseError, KeySet, PublicKey, UnknownKey, VerifyingKey
from doorward.jose.compact import split_compact
from doorward.jose.strict_json import decode_object
from doorward.verify import reasons
from doorward.verify.errors import TokenRefused

SESSION_CATEGORY = "cl_B7d4PD111AAA"
M2M_CATEGORY = "cl_B7d4PD333AAA"
IGNORED_CATEGORY = "cl_I7d4PD111III"
ALGORITHMS = ("RS256", "ES256", "EdDSA", "Ed25519")
SESSION_TYPES = ("JWT",)
OAUTH_TYPES = ("at+jwt", "application/at+jwt")

Keys = KeySet | PublicKey

_ABSENT: Any = object()


class UnverifiedJwt(msgspec.Struct, frozen=True):
    """The parts of a token. Anybody may have written them until `check_signature` has passed."""

    token: str
    header: Mapping[str, Any]
    claims: dict[str, Any]
    signing_input: bytes
    signature: bytes

    @property
    def is_of_session_category(self) -> bool:
        """Tokens from before categories carry none and count as sessions."""
        return self.header.get("cat", SESSION_CATEGORY) in (SESSION_CATEGORY, IGNORED_CATEGORY)


def read_jwt(token: str) -> UnverifiedJwt:
    """The parts of `token`, unverified. Raises TokenRefused."""
    try:
        header, payload, signing_input, signature = split_compact(token)
        claims = decode_object(payload)
    except JoseError as error:
        if token.count(".") != 2:  # which never gets here unrefused
            raise TokenRefused(
                reasons.TOKEN_INVALID, "Invalid JWT form. A JWT consists of three parts separated by dots."
            ) from None
        if getattr(error, "claim", None) == "alg":
            raise _wrong_algorithm(None) from None
        raise TokenRefused(
            reasons.TOKEN_INVALID,
            "Invalid JWT form. The header, payload, or signature could not be decoded.",
        ) from None
    return UnverifiedJwt(token, header, claims, signing_input, signature)


def check_signature(jwt: UnverifiedJwt, keys: Keys, *, types: Collection[str]) -> VerifyingKey:
    """The key that signed `jwt`: by `kid` of a key set, or the pinned one. Raises TokenRefused."""
    key = keys if isinstance(keys, PublicKey) else _find_key(jwt, keys)
    header = jwt.header
    if "typ" in header and header["typ"] not in types:
        raise TokenRefused(
            reasons.TOKEN_INVALID,
            f'Invalid JWT type {_json(header["typ"])}. Expected "{", ".join(types)}".',
            action=reasons.ENSURE_OUR_JWT,
        )
    alg = header["alg"]
    if alg not in key.header_names or alg not in ALGORITHMS:
        raise _wrong_algorithm(alg)
    if not key.verify(jwt.signature, jwt.signing_input):
        raise TokenRefused(reasons.TOKEN_INVALID_SIGNATURE, "JWT signature is invalid.")
    return key


def _find_key(jwt: UnverifiedJwt, keys: KeySet) -> VerifyingKey:
    kid = jwt.header.get("kid")
    try:
        if kid is None:
            raise UnknownKey("no kid")
        return keys.find(kid, jwt.header["alg"])
    except UnknownKey:
        raise TokenRefused(
            reasons.JWK_KID_MISMATCH,
            f"Unable to find a signing key in JWKS that matches the kid='{kid}' of the provided session token.",
            action=reasons.CHECK_KEYS,
        ) from None


class ClaimRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a token's claims are held to. Times in seconds; empty collections ask for nothing."""

    audience: tuple[str, ...] = ()
    authorized_parties: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    clock_skew: float = 5.0


def check_claims(claims: Mapping[str, Any], rules: ClaimRules, *, now: float) -> None:
    """Whether the claims of an authentic token hold at `now` (seconds). Raises TokenRefused."""
    subject = claims.get("sub", _ABSENT)
    if type(subject) is not str:
        raise _failed(f"Subject claim (sub) is required and must be a string. Received {_json(subject)}.")
    if rules.audience:
        _check_audience(claims.get("aud"), rules.audience)
    if rules.authorized_parties:
        _check_authorized_party(claims.get("azp", _ABSENT), rules.authorized_parties)
    if rules.issuers and claims.get("iss") not in rules.issuers:
        raise TokenRefused(
            reasons.TOKEN_INVALID_ISSUER,
            f'Invalid JWT issuer claim (iss) {_json(claims.get("iss", _ABSENT))}. Expected "{",".join(rules.issuers)}".',
            action=reasons.ENSURE_OUR_JWT,
        )
    check_times(claims, rules.clock_skew, now=now)


def check_times(claims: Mapping[str, Any], clock_skew: float, *, now: float) -> None:
    """`exp` (required), `nbf` and `iat` against `now`, each forgiven `clock_skew` seconds. Raises TokenRefused."""
    expires = claims.get("exp", _ABSENT)
    if type(expires) is not int:
        expires = _number(expires, "expiry date claim (exp)")
    if expires <= now - clock_skew:
        raise _expired(expires, clock_skew, now)
    not_before = claims.get("nbf", _ABSENT)
    if not_before is not _ABSENT:
        if type(not_before) is not int:
            not_before = _number(not_before, "not before date claim (nbf)")
        if not_before > now + clock_skew:
            raise _not_yet(not_before, now)
    issued = claims.get("iat", _ABSENT)
    if issued is not _ABSENT:
        if type(issued) is not int:
            issued = _number(issued, "issued at date claim (iat)")
        if issued > now + clock_skew:
            raise _from_the_future(issued, now)


def lifetime(claims: Mapping[str, Any]) -> tuple[int, int]:
    """What `check_times` compares of claims that have passed it: the later of `nbf` and `iat` (without either, 0),
    and `exp`, in whole seconds."""
    begins = max((trunc(claims[name]) for name in ("nbf", "iat") if name in claims), default=0)
    return begins, trunc(claims["exp"])


def _expired(expires: int, clock_skew: float, now: float) -> TokenRefused:
    ago = _gap(now, expires)
    return TokenRefused(
        reasons.TOKEN_EXPIRED,
        f"JWT is expired. Expiry date: {_date(expires)}, Current date: {_date(now)}."
        f" That was {ago:.0f} s ago; {clock_skew:g} s are forgiven.",
        skew_seconds=ago,
    )


def _not_yet(not_before: int, now: float) -> TokenRefused:
    ahead = _gap(not_before, now)
    return TokenRefused(
        reasons.TOKEN_NOT_ACTIVE_YET,
        "JWT cannot be used prior to not before date claim (nbf). Not before date: "
        f"{_date(not_before)}; Current date: {_date(now)}; That is in {ahead:.0f} s.",
        skew_seconds=ahead,
    )


def _from_the_future(issued: int, now: float) -> TokenRefused:
    ahead = _gap(issued, now)
    return TokenRefused(
        reasons.TOKEN_IAT_IN_THE_FUTURE,
        f"JWT issued at date claim (iat) is in the future. Issued at date: {_date(issued)}; "
        f"Current date: {_date(now)}; This clock is {ahead:.0f} s behind the issuer's.",
        skew_seconds=ahead,
    )


def check_oauth_audience(present: Any, accepted: tuple[str, ...]) -> None:
    """An OAuth token must name one of `accepted`, if any are asked for. Raises TokenRefused."""
    if not accepted:
        return
    named = [present] if isinstance(present, str) else present
    shown = _ABSENT if present is None else present
    if not isinstance(named, list) or not named or not all(isinstance(name, str) and name for name in named):
        raise TokenRefused(
            reasons.TOKEN_VERIFICATION_FAILED,
            f"Invalid OAuth audience claim (aud) {_json(shown)}. Expected a non-empty string or a non-empty "
            "array of non-empty strings.",
        )
    if not set(named) & set(accepted):
        raise TokenRefused(
            reasons.TOKEN_VERIFICATION_FAILED,
            f"OAuth audience mismatch. Verification expected audience {_json(list(accepted))}, but incoming "
            f"token has aud {_json(present)}.",
        )


def _check_audience(present: Any, accepted: tuple[str, ...]) -> None:
    """A session without `aud` is for everybody; one with it must name us."""
    if not present:
        return
    if isinstance(present, str):
        if present not in accepted:
            raise _failed(
                f'Invalid JWT audience claim (aud) {_json(present)}. Is not included in "{_json(list(accepted))}".'
            )
    elif isinstance(present, list) and all(isinstance(name, str) for name in present):
        if not set(present) & set(accepted):
            raise _failed(
                f'Invalid JWT audience claim array (aud) {_json(present)}. Is not included in "{_json(list(accepted))}".'
            )
    else:  # Clerk's own SDK lets any other shape pass; what cannot be read cannot name us.
        raise _failed(f"Invalid JWT audience claim (aud) {_json(present)}. Expected a string or strings.")


def _check_authorized_party(present: Any, accepted: tuple[str, ...]) -> None:
    if not present or present is _ABSENT or present not in accepted:
        raise TokenRefused(
            reasons.TOKEN_INVALID_AUTHORIZED_PARTIES,
            f'Invalid JWT Authorized party claim (azp) {_json(present)}. Expected "{",".join(accepted)}".',
        )


def _number(value: Any, name: str) -> int:
    """A NumericDate in whole seconds that is no integer already, of which none is too large to compare exactly."""
    if type(value) is float and isfinite(value):
        return trunc(value)
    raise _failed(f"Invalid JWT {name} {_json(value)}. Expected number.")


def _gap(later: float, earlier: float) -> float:
    """Seconds between two times, one of which may be absurd."""
    try:
        return float(later - earlier)
    except OverflowError:
        return float("inf")


def _failed(message: str) -> TokenRefused:
    return TokenRefused(reasons.TOKEN_VERIFICATION_FAILED, message, action=reasons.ENSURE_OUR_JWT)


def _wrong_algorithm(alg: str | None) -> TokenRefused:
    return TokenRefused(
        reasons.TOKEN_INVALID_ALGORITHM,
        f"Invalid JWT algorithm {_json(alg)}. Supported: {','.join(ALGORITHMS)}.",
        action=reasons.ENSURE_OUR_JWT,
    )


def _json(value: Any) -> str:
    """As JavaScript's JSON.stringify, but never long: some of it is the token's own text."""
    if value is _ABSENT:
        return "undefined"
    return json.dumps(value, separators=(",", ":"))[:200]


def _date(seconds: float) -> str:
    """As JavaScript's toUTCString. Not `email.utils`, which would double what importing this room costs."""
    try:
        then = time.gmtime(seconds)
    except (OverflowError, ValueError, OSError):
        return "out of range"
    day, month = _DAYS[then.tm_wday], _MONTHS[then.tm_mon - 1]
    clock = f"{then.tm_hour:02}:{then.tm_min:02}:{then.tm_sec:02}"
    return f"{day}, {then.tm_mday:02} {month} {then.tm_year:04} {clock} GMT"


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

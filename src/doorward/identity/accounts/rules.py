"""What a valid e-mail address and an acceptable password are, and what users are sorted and found by. Pure."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Protocol

from doorward.identity.errors import (
    FORM_PARAM_FORMAT_INVALID,
    FORM_PASSWORD_MATCHES_IDENTIFIER,
    FORM_PASSWORD_NOT_STRONG,
    FORM_PASSWORD_TOO_LONG,
    FORM_PASSWORD_TOO_SHORT,
    FORM_USERNAME_INVALID_CHARACTER,
    FORM_USERNAME_INVALID_LENGTH,
    FORM_USERNAME_NEEDS_NON_NUMBER,
    Problem,
)

PASSWORD_MIN_LENGTH = 8
PASSWORD_MAX_LENGTH = 256  # far above the 64 that must be accepted, small enough never to cost memory
NAME_MAX_LENGTH = 256
USERNAME_MIN_LENGTH, USERNAME_MAX_LENGTH = 4, 64
REAUTHENTICATION_LIFETIME_MS = 10 * 60_000

# The shape of RFC 5321 dot-atom addresses with a dotted domain; quoted local parts and address literals are refused.
_LOCAL = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"(?P<local>{_LOCAL})@(?P<domain>(?:{_LABEL}\.)*{_LABEL})")
_LOCALE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")

_LEET = str.maketrans(
    {"@": "a", "4": "a", "3": "e", "1": "i", "!": "i", "0": "o", "$": "s", "5": "s", "7": "t"}
)
_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv5tgb",
    "qazwsxedcrfvtgb",
    "1q2w3e4r5t6y7u8i9o0p",
)


def normalise_email(text: str) -> str | None:
    """The address trimmed and lower-cased, or None when it is not an e-mail address."""
    address = unicodedata.normalize("NFKC", text).strip().lower()
    match = _EMAIL.fullmatch(address)
    if match is None or len(address) > 254 or len(match["local"]) > 64:
        return None
    return address


def normalise_phone(text: str) -> str | None:
    """E.164 without the signs people write between digits, or None."""
    number = re.sub(r"[\s().-]", "", text)
    return number if re.fullmatch(r"\+[1-9][0-9]{6,14}", number) else None


def ordinal_of(user_id: str, created_at: int) -> int:
    """A number that sorts users by the time (ms) they were made; those of one moment by chance, but always alike."""
    tie = int.from_bytes(hashlib.sha256(user_id.encode()).digest()[:4], "big")
    return created_at << 21 | tie & 0x1F_FFFF


def is_locale(text: str) -> bool:
    """Whether it has the shape of a language tag (BCP 47): `en`, `de-AT`, `zh-Hant-TW`."""
    return _LOCALE.fullmatch(text) is not None


def username_problem(username: str) -> Problem | None:
    """Why nobody can be called so, or None."""
    if not USERNAME_MIN_LENGTH <= len(username) <= USERNAME_MAX_LENGTH:
        return FORM_USERNAME_INVALID_LENGTH
    if not re.fullmatch(r"[A-Za-z0-9_-]+", username):
        return FORM_USERNAME_INVALID_CHARACTER
    return FORM_USERNAME_NEEDS_NON_NUMBER if username.isdigit() else None


class _Named(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def first_name(self) -> str | None: ...
    @property
    def last_name(self) -> str | None: ...
    @property
    def username(self) -> str | None: ...


def search_text_of(user: _Named, addresses: Iterable[str], numbers: Iterable[str]) -> str:
    """What a search looks into: one line a value, both names on one, in lower case."""
    name = " ".join(part for part in (user.first_name, user.last_name) if part)
    return "\n".join(value.lower() for value in (user.id, name, user.username, *addresses, *numbers) if value)


def email_problem(param: str) -> Problem:
    return FORM_PARAM_FORMAT_INVALID.at(param, long_message=f"{param} must be a valid email address.")


def normalise_password(text: str) -> str:
    """One form for the same characters typed on different keyboards (NIST SP 800-63B: NFKC); nothing is cut or folded."""
    return unicodedata.normalize("NFKC", text)


@cache
def _common() -> frozenset[str]:
    text = files("doorward.identity.accounts").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def password_problem(
    password: str, *, email_address: str | None, context: Iterable[str] = (), param: str = "password"
) -> Problem | None:
    """Why this (normalised) password is refused, or None. No composition rules: length and not being guessable."""
    if len(password) < PASSWORD_MIN_LENGTH:
        return FORM_PASSWORD_TOO_SHORT.at(param)
    if len(password) > PASSWORD_MAX_LENGTH:
        return FORM_PASSWORD_TOO_LONG.at(param)
    if email_address is not None and _is_built_from(password, _email_words(email_address)):
        return FORM_PASSWORD_MATCHES_IDENTIFIER.at(param)
    if _is_common(password) or _is_built_from(password, [word.lower() for word in context]):
        return FORM_PASSWORD_NOT_STRONG.at(param)
    return None


def _email_words(address: str) -> list[str]:
    local, _, domain = address.partition("@")
    return [address, local, domain, *re.split(r"[^a-z0-9]+", local), *domain.split(".")]


def _core(text: str) -> str:
    """The letters an attacker's rules would start from: folded, without the digits and signs around them."""
    return text.lower().translate(_LEET).strip("0123456789!?.,-_*#+ ")


def _is_common(password: str) -> bool:
    folded = password.lower()
    plain = re.sub(r"[^a-z]+", "", folded)
    candidates = {folded, _core(password), folded.strip("0123456789!?.,-_*#+@$% "), plain}
    if candidates & _common():
        return True
    return len(set(folded)) <= 2 or _repeats(folded) or _is_run(folded)


def _repeats(text: str) -> bool:
    """`abcabcabc`: a short piece said again and again."""
    return any(len(text) % size == 0 and text == text[:size] * (len(text) // size) for size in range(1, 5))


def _is_run(text: str) -> bool:
    """`12345678`, `qwertyui`, `87654321`: a walk along the keyboard or the alphabet."""
    return any(text in run * 2 or text in run[::-1] * 2 for run in _RUNS)


def _is_built_from(password: str, words: Iterable[str]) -> bool:
    """Whether little but one of `words` remains: fewer than five other characters."""
    folded = password.lower()
    return any(len(word) >= 4 and word in folded and len(folded) - len(word) < 5 for word in words)


def is_recent(verified_at: int, now: int) -> bool:
    """Whether a proof of identity still allows dangerous changes."""
    return 0 <= now - verified_at <= REAUTHENTICATION_LIFETIME_MS

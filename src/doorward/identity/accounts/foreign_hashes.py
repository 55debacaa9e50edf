"""Password hashes made elsewhere, as they come out of other systems' databases. Pure, and slow on purpose: run off the loop.

A digest is judged when it is imported (`stored_form`) and checked at the first sign-in, after which our own Argon2id hash
takes its place. What it would cost to check is bounded: an import must not be able to stop the server later.

| hasher | digest |
| --- | --- |
| `argon2i`, `argon2id` | `$argon2id$v=19$m=…,t=…,p=…$salt$hash` |
| `bcrypt`, `bcrypt_sha256_django` | `$2b$12$…`, `bcrypt_sha256$$2b$12$…` |
| `pbkdf2_sha1` | `pbkdf2_sha1$iterations$salt$hex`, and `$length` of the hash or not; a salt of hexadecimal digits is read as such |
| `pbkdf2_sha256` | `pbkdf2_sha256$iterations$salt$hash`, both in base64 |
| `pbkdf2_sha256_django` | `pbkdf2_sha256$iterations$salt$base64` |
| `pbkdf2_sha512`, `pbkdf2_sha512_hex` | `name$iterations$salt$hex`; the second's salt is hexadecimal |
| any `pbkdf2_…` | Werkzeug's `pbkdf2:sha256:iterations$salt$hex` |
| `phpass` | `$P$`, a character for the rounds, eight of salt, 22 of hash |
| `sha512_symfony` | `sha512_symfony$iterations$salt$base64` |
| `scrypt_werkzeug` | `scrypt:N:r:p$salt$hex` |
| `scrypt_firebase` | hash, salt, signer key, salt separator (base64), rounds, memory cost, divided by `$` |
| `sha256`, `md5` | hexadecimal |
| `ldap_ssha` | `{SSHA}base64(hash + salt)` |

The forms are those Clerk documents for `password_digest` (@clerk/backend, `UserPasswordHashingParams`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable

import argon2
import bcrypt
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_MARK = "foreign:"

MAX_BCRYPT_COST = 14
MAX_ITERATIONS = 2_000_000
MAX_MEMORY_BYTES = 256 * 1024 * 1024
MAX_ARGON2_PASSES = 12
MAX_SCRYPT_LANES = 16
#: Rounds that hold the interpreter while they run, for a tenth of a second at most.
MAX_LOOPED_ROUNDS = 1 << 16

_BCRYPT = re.compile(r"\$2[abxy]\$(\d\d)\$[./A-Za-z0-9]{53}")
_WERKZEUG = re.compile(r"pbkdf2:(sha1|sha256|sha512)(?::(\d+))?\$([^$]+)\$([0-9a-f]+)")
_WERKZEUG_DEFAULT_ITERATIONS = 150_000
_PHPASS = re.compile(r"\$[PH]\$([./0-9A-Za-z])([./0-9A-Za-z]{8})([./0-9A-Za-z]{22})")
_PHPASS_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SCRYPT = re.compile(r"scrypt:(\d+):(\d+):(\d+)\$([^$]+)\$([0-9a-f]+)")


class BadDigest(ValueError):
    """Not a digest of that hasher, or one that would cost too much to check."""


def stored_form(hasher: str, digest: str) -> str:
    """What `identity_users.password_hash` keeps of an imported digest. Raises BadDigest."""
    check = _CHECKS.get(hasher)
    if check is None:
        raise BadDigest(f"{hasher} is not a hasher this server knows")
    try:
        # Its parts are read the way a check would, without the costly step.
        check(digest)
    except BadDigest:
        raise
    except (ValueError, binascii.Error, InvalidHashError) as error:
        raise BadDigest(str(error)) from error
    return f"{_MARK}{hasher}:{digest}"


def told_form(stored: str) -> tuple[str, str]:
    """Hasher and digest of what `identity_users.password_hash` keeps, as an import takes them; ours is Argon2id."""
    if not is_foreign(stored):
        return "argon2id", stored
    hasher, _, digest = stored.removeprefix(_MARK).partition(":")
    return hasher, digest


def is_foreign(stored: str) -> bool:
    return stored.startswith(_MARK)


def matches(stored: str, password: str) -> bool:
    """Whether the password is the one the stored foreign digest was made of; an unknown hasher is never right."""
    hasher, _, digest = stored.removeprefix(_MARK).partition(":")
    check = _CHECKS.get(hasher)
    try:
        return check is not None and check(digest)(password.encode())
    except (ValueError, binascii.Error):
        return False


_Matcher = Callable[[bytes], bool]


def _argon2(kind: str) -> Callable[[str], _Matcher]:
    def read(digest: str) -> _Matcher:
        if not digest.startswith(f"${kind}$"):
            raise BadDigest(f"not {kind}")
        parameters = argon2.extract_parameters(digest)
        if (
            parameters.memory_cost * 1024 > MAX_MEMORY_BYTES
            or parameters.time_cost > MAX_ARGON2_PASSES
            or parameters.parallelism > MAX_SCRYPT_LANES
        ):
            raise BadDigest("too costly")

        def check(password: bytes) -> bool:
            try:
                return argon2.PasswordHasher().verify(digest, password)
            except (VerificationError, InvalidHashError):
                return False

        return check

    return read


def _bcrypt(digest: str) -> _Matcher:
    match = _BCRYPT.fullmatch(digest)
    if match is None or not 4 <= int(match[1]) <= MAX_BCRYPT_COST:
        raise BadDigest("not bcrypt, or too costly")
    # PHP and old libraries write 2y and 2x where this one knows 2b; the hash is the same.
    encoded = ("$2b" + digest[3:]).encode()
    # Every implementation of bcrypt looks at 72 bytes; this library would rather refuse more.
    return lambda password: bcrypt.checkpw(password[:72], encoded)


def _bcrypt_django(digest: str) -> _Matcher:
    if not digest.startswith("bcrypt_sha256$"):
        raise BadDigest("not Django's bcrypt")
    check = _bcrypt(digest.removeprefix("bcrypt_sha256$"))
    return lambda password: check(hashlib.sha256(password).hexdigest().encode())


def _pbkdf2(
    name: str, algorithm: str, salt_of: Callable[[str], bytes], hash_of: Callable[[str], bytes]
) -> Callable[[str], _Matcher]:
    def read(digest: str) -> _Matcher:
        match = _WERKZEUG.fullmatch(digest)
        if match is not None:
            if match[1] != algorithm:
                raise BadDigest(f"not {algorithm}")
            iterations = int(match[2] or _WERKZEUG_DEFAULT_ITERATIONS)
            return _derived(algorithm, match[3].encode(), iterations, bytes.fromhex(match[4]))
        label, count, salt, encoded = _segments(digest, 4)
        if label != name:
            raise BadDigest(f"not {name}")
        return _derived(algorithm, salt_of(salt), int(count), hash_of(encoded))

    return read


def _pbkdf2_sha1(digest: str) -> _Matcher:
    parts = digest.split("$")
    if len(parts) == 5:
        if int(parts[4]) * 2 != len(parts[3]):
            raise BadDigest("the hash is not as long as it says")
        digest = "$".join(parts[:4])
    return _pbkdf2("pbkdf2_sha1", "sha1", _hex_or_text, bytes.fromhex)(digest)


def _hex_or_text(salt: str) -> bytes:
    try:
        return bytes.fromhex(salt)
    except ValueError:
        return salt.encode()


def _derived(algorithm: str, salt: bytes, iterations: int, expected: bytes) -> _Matcher:
    if not 1 <= iterations <= MAX_ITERATIONS or not salt or not 16 <= len(expected) <= 128:
        raise BadDigest("not PBKDF2, or too costly")
    return lambda password: hmac.compare_digest(
        hashlib.pbkdf2_hmac(algorithm, password, salt, iterations, len(expected)), expected
    )


def _scrypt_werkzeug(digest: str) -> _Matcher:
    match = _SCRYPT.fullmatch(digest)
    if match is None:
        raise BadDigest("not Werkzeug's scrypt")
    n, r, p, expected = int(match[1]), int(match[2]), int(match[3]), bytes.fromhex(match[5])
    salt = match[4].encode()
    _bound_scrypt(n, r, p)
    if not 16 <= len(expected) <= 128:
        raise BadDigest("not Werkzeug's scrypt")
    return lambda password: hmac.compare_digest(_scrypt(password, salt, n, r, p, len(expected)), expected)


def _scrypt_firebase(digest: str) -> _Matcher:
    encoded, salt, signer, separator, rounds, memory = _segments(digest, 6)
    expected, key = _base64(encoded), _base64(signer)
    n, r = 2 ** min(int(memory), 40), int(rounds)
    _bound_scrypt(n, r, 1)
    if len(expected) != len(key) or not key:
        raise BadDigest("the hash is not as long as the signer key")
    full_salt = _base64(salt) + _base64(separator)

    def check(password: bytes) -> bool:
        # Firebase keeps the signer key encrypted (AES-256-CTR, counter 0) under what scrypt makes of the password.
        derived = _scrypt(password, full_salt, n, r, 1, 64)[:32]
        encryptor = Cipher(algorithms.AES(derived), modes.CTR(bytes(16))).encryptor()
        return hmac.compare_digest(encryptor.update(key) + encryptor.finalize(), expected)

    return check


def _bound_scrypt(n: int, r: int, p: int) -> None:
    if n < 2 or n & (n - 1) or r < 1 or not 1 <= p <= MAX_SCRYPT_LANES or 128 * n * r > MAX_MEMORY_BYTES:
        raise BadDigest("not scrypt, or too costly")


def _scrypt(password: bytes, salt: bytes, n: int, r: int, p: int, length: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, dklen=length, maxmem=2 * MAX_MEMORY_BYTES)


def _plain(algorithm: str) -> Callable[[str], _Matcher]:
    def read(digest: str) -> _Matcher:
        expected = bytes.fromhex(digest)
        if len(expected) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
            raise BadDigest(f"not {algorithm}")
        return lambda password: hmac.compare_digest(
            hashlib.new(algorithm, password, usedforsecurity=False).digest(), expected
        )

    return read


def _phpass(digest: str) -> _Matcher:
    match = _PHPASS.fullmatch(digest)
    if match is None:
        raise BadDigest("not phpass")
    rounds, salt, expected = 1 << _PHPASS_ALPHABET.index(match[1]), match[2].encode(), match[3]
    if rounds > MAX_LOOPED_ROUNDS:
        raise BadDigest("too costly")

    def check(password: bytes) -> bool:
        made = hashlib.md5(salt + password, usedforsecurity=False).digest()
        for _ in range(rounds):
            made = hashlib.md5(made + password, usedforsecurity=False).digest()
        return hmac.compare_digest(_phpass_text(made), expected)

    return check


def _phpass_text(data: bytes) -> str:
    """crypt(3)'s base64: the lowest six bits first, three bytes at a time."""
    characters = []
    for start in range(0, len(data), 3):
        chunk = data[start : start + 3]
        value = int.from_bytes(chunk, "little")
        characters += [_PHPASS_ALPHABET[value >> shift & 63] for shift in range(0, 8 * len(chunk), 6)]
    return "".join(characters)


def _sha512_symfony(digest: str) -> _Matcher:
    label, count, salt, encoded = _segments(digest, 4)
    rounds, expected = int(count), _base64(encoded)
    if label != "sha512_symfony" or not 1 <= rounds <= MAX_LOOPED_ROUNDS or len(expected) != 64:
        raise BadDigest("not Symfony's SHA-512, or too costly")

    def check(password: bytes) -> bool:
        salted = password + b"{" + salt.encode() + b"}" if salt else password
        made = hashlib.sha512(salted).digest()
        for _ in range(rounds - 1):
            made = hashlib.sha512(made + salted).digest()
        return hmac.compare_digest(made, expected)

    return check


def _ldap_ssha(digest: str) -> _Matcher:
    if not digest.startswith("{SSHA}"):
        raise BadDigest("not {SSHA}")
    raw = _base64(digest.removeprefix("{SSHA}"))
    if len(raw) <= 20:
        raise BadDigest("no salt")
    expected, salt = raw[:20], raw[20:]
    return lambda password: hmac.compare_digest(
        hashlib.sha1(password + salt, usedforsecurity=False).digest(), expected
    )


def _segments(digest: str, count: int) -> list[str]:
    parts = digest.split("$")
    if len(parts) != count:
        raise BadDigest(f"{count} parts were expected, divided by $")
    return parts


def _base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


_CHECKS: dict[str, Callable[[str], _Matcher]] = {
    "argon2i": _argon2("argon2i"),
    "argon2id": _argon2("argon2id"),
    "bcrypt": _bcrypt,
    "bcrypt_sha256_django": _bcrypt_django,
    "pbkdf2_sha1": _pbkdf2_sha1,
    "pbkdf2_sha256": _pbkdf2("pbkdf2_sha256", "sha256", _base64, _base64),
    "pbkdf2_sha256_django": _pbkdf2("pbkdf2_sha256", "sha256", str.encode, _base64),
    "pbkdf2_sha512": _pbkdf2("pbkdf2_sha512", "sha512", str.encode, bytes.fromhex),
    "pbkdf2_sha512_hex": _pbkdf2("pbkdf2_sha512_hex", "sha512", bytes.fromhex, bytes.fromhex),
    "phpass": _phpass,
    "scrypt_firebase": _scrypt_firebase,
    "scrypt_werkzeug": _scrypt_werkzeug,
    "sha256": _plain("sha256"),
    "sha512_symfony": _sha512_symfony,
    "md5": _plain("md5"),
    "ldap_ssha": _ldap_ssha,
}
HASHERS = tuple(_CHECKS)

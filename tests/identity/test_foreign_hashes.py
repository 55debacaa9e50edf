"""Hashes that other systems made, checked with what those systems' own algorithms say of a password."""

from __future__ import annotations

import base64
import contextlib
import hashlib

import argon2
import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.identity.accounts.foreign_hashes import HASHERS, BadDigest, is_foreign, matches, stored_form
from doorward.identity.accounts.passwords import PasswordHasher

PASSWORD = "a quiet harbour at dusk"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pbkdf2(algorithm: str, salt: bytes, rounds: int = 1000) -> bytes:
    return hashlib.pbkdf2_hmac(algorithm, PASSWORD.encode(), salt, rounds)


def scrypt(salt: bytes) -> str:
    return hashlib.scrypt(PASSWORD.encode(), salt=salt, n=1024, r=8, p=1, dklen=64).hex()


def bcrypt_of(password: bytes) -> str:
    return bcrypt.hashpw(password, bcrypt.gensalt(4)).decode()


def argon2_of(kind: argon2.Type) -> str:
    return argon2.PasswordHasher(1, 64, 1, type=kind).hash(PASSWORD)


# The vector that Firebase publishes with its own implementation.
FIREBASE = (
    "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
    "$42xEC+ixf3L2lw==$jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
    "$Bw==$8$14"
)

# The vector in the tests of phpass itself.
PHPASS = "$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0"


def symfony(rounds: int) -> str:
    """What Symfony's MessageDigestPasswordEncoder writes: the salt in braces, and again after each round."""
    salted = f"{PASSWORD}{{salt}}".encode()
    made = hashlib.sha512(salted).digest()
    for _ in range(1, rounds):
        made = hashlib.sha512(made + salted).digest()
    return f"sha512_symfony${rounds}$salt${b64(made)}"


DIGESTS = {
    "argon2i": lambda: argon2_of(argon2.Type.I),
    "argon2id": lambda: argon2_of(argon2.Type.ID),
    "bcrypt": lambda: bcrypt_of(PASSWORD.encode()),
    "bcrypt_sha256_django": lambda: (
        "bcrypt_sha256$" + bcrypt_of(hashlib.sha256(PASSWORD.encode()).hexdigest().encode())
    ),
    "pbkdf2_sha1": lambda: f"pbkdf2_sha1$1000$salt${pbkdf2('sha1', b'salt').hex()}",
    "pbkdf2_sha256": lambda: f"pbkdf2_sha256$1000${b64(b'salt')}${b64(pbkdf2('sha256', b'salt'))}",
    "pbkdf2_sha256_django": lambda: f"pbkdf2_sha256$1000$salt${b64(pbkdf2('sha256', b'salt'))}",
    "pbkdf2_sha512": lambda: f"pbkdf2_sha512$1000$salt${pbkdf2('sha512', b'salt').hex()}",
    "pbkdf2_sha512_hex": lambda: f"pbkdf2_sha512_hex$1000${b'salt'.hex()}${pbkdf2('sha512', b'salt').hex()}",
    "scrypt_werkzeug": lambda: f"scrypt:1024:8:1$salt${scrypt(b'salt')}",
    "sha256": lambda: hashlib.sha256(PASSWORD.encode()).hexdigest(),
    "sha512_symfony": lambda: symfony(5000),
    "md5": lambda: hashlib.md5(PASSWORD.encode(), usedforsecurity=False).hexdigest(),
    "ldap_ssha": lambda: (
        "{SSHA}" + b64(hashlib.sha1(PASSWORD.encode() + b"salt", usedforsecurity=False).digest() + b"salt")
    ),
}


def test_every_hasher_has_a_case() -> None:
    assert {*DIGESTS, "scrypt_firebase", "phpass"} == set(HASHERS)


@pytest.mark.parametrize("hasher", sorted(DIGESTS))
def test_the_password_of_a_foreign_digest_is_known_and_no_other(hasher: str) -> None:
    stored = stored_form(hasher, DIGESTS[hasher]())
    assert is_foreign(stored)
    assert matches(stored, PASSWORD)
    assert not matches(stored, PASSWORD + "!")
    assert not matches(stored, "")


def test_firebases_own_vector_holds() -> None:
    stored = stored_form("scrypt_firebase", FIREBASE)
    assert matches(stored, "user1password")
    assert not matches(stored, "user2password")


def test_phpasss_own_vector_holds() -> None:
    stored = stored_form("phpass", PHPASS)
    assert matches(stored, "test12345")
    assert not matches(stored, "test12346")


def test_a_salt_of_pbkdf2_sha1_may_be_hexadecimal_and_its_length_be_said() -> None:
    derived = pbkdf2("sha1", bytes.fromhex("73616c74")).hex()
    assert matches(stored_form("pbkdf2_sha1", f"pbkdf2_sha1$1000$73616c74${derived}"), PASSWORD)
    assert matches(stored_form("pbkdf2_sha1", f"pbkdf2_sha1$1000$73616c74${derived}$20"), PASSWORD)
    with pytest.raises(BadDigest):
        stored_form("pbkdf2_sha1", f"pbkdf2_sha1$1000$73616c74${derived}$32")


def test_werkzeugs_pbkdf2_counts_under_its_algorithm() -> None:
    digest = f"pbkdf2:sha256:1000$salt${pbkdf2('sha256', b'salt').hex()}"
    assert matches(stored_form("pbkdf2_sha256", digest), PASSWORD)
    with pytest.raises(BadDigest):
        stored_form("pbkdf2_sha512", digest)


@pytest.mark.parametrize(
    ("hasher", "digest"),
    [
        ("bcrypt", "$2b$31$" + "a" * 53),
        ("argon2id", "$argon2id$v=19$m=4194304,t=3,p=4$c2FsdHNhbHQ$" + "A" * 43),
        ("argon2i", "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43),
        ("pbkdf2_sha256", f"pbkdf2_sha256$99999999${b64(b'salt')}${b64(bytes(32))}"),
        ("pbkdf2_sha256", "pbkdf2_sha256$1000$not base64$x"),
        ("scrypt_werkzeug", f"scrypt:{2**30}:8:1$salt$" + "ab" * 32),
        ("scrypt_werkzeug", "scrypt:1000:8:1$salt$" + "ab" * 32),
        ("scrypt_firebase", "a$b$c"),
        ("phpass", "$P$Z" + "a" * 30),
        ("phpass", "$S$9" + "a" * 30),
        ("sha512_symfony", f"sha512_symfony$99999999$salt${b64(bytes(64))}"),
        ("sha512_symfony", f"sha512_symfony$0$salt${b64(bytes(64))}"),
        ("pbkdf2_sha512_hex", f"pbkdf2_sha512_hex$1000$salt${'ab' * 64}"),
        ("sha256", "ab"),
        ("md5", "zz" * 16),
        ("ldap_ssha", "{SSHA}" + b64(bytes(20))),
        ("awscognito", "x"),
    ],
)
def test_what_is_no_digest_or_would_cost_too_much_is_not_taken(hasher: str, digest: str) -> None:
    with pytest.raises(BadDigest):
        stored_form(hasher, digest)


@given(st.sampled_from(HASHERS), st.text(max_size=120))
def test_any_text_is_a_digest_or_refused(hasher: str, digest: str) -> None:
    with contextlib.suppress(BadDigest):
        assert is_foreign(stored_form(hasher, digest))


@pytest.mark.anyio
async def test_a_foreign_hash_is_replaced_by_ours_once_it_matched() -> None:
    hasher = PasswordHasher(time_cost=1, memory_kib=64)
    stored = stored_form("sha256", DIGESTS["sha256"]())
    assert (await hasher.check(stored, "wrong")).rehash is None
    check = await hasher.check(stored, PASSWORD)
    assert check.is_correct
    assert check.rehash is not None
    assert check.rehash.startswith("$argon2id$")
    assert (await hasher.check(check.rehash, PASSWORD)).rehash is None
    hasher.close()

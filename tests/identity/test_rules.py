"""The pure rules, by example and by property."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import string
from collections import Counter

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.identity import IdentitySettings, RateLimit
from doorward.identity.accounts import rules as accounts
from doorward.identity.accounts.passwords import (
    MEMORY_KIB,
    PARALLELISM,
    TIME_COST,
    PasswordHasher,
    decoy_hash,
)
from doorward.identity.errors import Refused
from doorward.identity.identifiers import new_id
from doorward.identity.oauth import rules as oauth
from doorward.identity.restrictions import rules as restrictions
from tests.identity.conftest import SETTINGS


@given(st.text(max_size=80))
def test_an_address_that_is_accepted_is_in_its_final_form(text: str):
    address = accounts.normalise_email(text)
    if address is not None:
        assert accounts.normalise_email(address) == address
        assert address.count("@") == 1
        assert not any(character.isspace() or ord(character) > 126 for character in address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "a@",
        "@b.c",
        "a b@c.d",
        "a@b..c",
        "a.@b.c",
        "a@b.c\r\nBcc: x@y.z",
        "a@-b.c",
        "a" * 65 + "@b.c",
    ],
)
def test_what_is_no_address_is_refused(text: str):
    assert accounts.normalise_email(text) is None


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("1234567", "form_password_length_too_short"),
        ("x" * 257, "form_password_length_too_long"),
        ("password", "form_password_not_strong_enough"),
        ("P@ssw0rd123!", "form_password_not_strong_enough"),
        ("12345678", "form_password_not_strong_enough"),
        ("qwertyui", "form_password_not_strong_enough"),
        ("aaaaaaaaaa", "form_password_not_strong_enough"),
        ("abcabcabc", "form_password_not_strong_enough"),
        ("Doorward2026", "form_password_not_strong_enough"),
        ("ada.lovelace1", "form_password_matches_identifier"),
    ],
)
def test_a_guessable_password_is_refused(password: str, code: str):
    problem = accounts.password_problem(
        password, email_address="ada.lovelace@example.com", context=("Doorward",)
    )
    assert problem is not None
    assert problem.code == code


@pytest.mark.parametrize(
    "password", ["correct horse battery", "x9#kfLw2", "ünïcødé phrase ok", "p" + "ab c" * 60]
)
def test_other_passwords_are_accepted_without_composition_rules(password: str):
    assert accounts.password_problem(password, email_address="ada@example.com") is None


@given(st.text(min_size=8, max_size=64))
def test_the_same_characters_typed_differently_are_the_same_password(text: str):
    normal = accounts.normalise_password(text)
    assert accounts.normalise_password(normal) == normal


@given(st.text(max_size=60))
def test_a_user_code_is_read_however_it_was_typed_or_not_at_all(text: str):
    letters = oauth.normalise_user_code(text)
    assert letters is None or (len(letters) == 8 and oauth.normalise_user_code(letters) == letters)


def test_a_new_user_code_is_read_back_in_any_spelling():
    for _ in range(50):
        code = oauth.new_user_code()
        plain = code.replace("-", "")
        for typed in (code, code.lower(), plain, f" {code[:2]} {code[2:]} "):
            assert oauth.normalise_user_code(typed) == plain


@given(st.from_regex(r"[A-Za-z0-9._~-]{43,128}", fullmatch=True), st.text(max_size=150))
def test_only_the_verifier_of_a_challenge_matches_it(verifier: str, other: str):
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert oauth.verifier_matches(verifier, challenge)
    assert oauth.verifier_matches(other, challenge) == (other == verifier)


@given(st.text(max_size=120))
def test_no_text_is_taken_for_a_gate_callback_unless_it_is_exactly_one(text: str):
    for uri in (
        text,
        f"http://{text}.env.localhost:8080/gate/callback",
        f"http://a.env.localhost:8080{text}",
    ):
        origin = oauth.gate_origin(uri, gate_zone="env.localhost:8080", scheme="http")
        if origin is not None:
            assert uri == f"{origin}/gate/callback"
            label = origin.removeprefix("http://").removesuffix(".env.localhost:8080")
            assert label.replace("-", "").isalnum()
            assert label.isascii()


@given(st.text(max_size=80))
def test_loopback_recognition_never_fails_and_never_takes_a_name(text: str):
    for uri in (text, f"http://{text}/callback", f"http://127.0.0.1{text}"):
        if oauth.is_loopback(uri):
            assert uri.startswith(
                ("http://127.0.0.1/", "http://127.0.0.1:", "http://[::1]/", "http://[::1]:")
            )


def test_gcra_lets_a_burst_through_and_then_one_at_a_time():
    limit, arrival, now, allowed = RateLimit(5, 10_000), 0, 1_000_000, []
    for step in range(20):
        now += 500
        current = max(arrival, now)
        if restrictions.wait_ms(current, limit, now) == 0:
            arrival = current + restrictions.spacing_ms(limit)
            allowed.append(step)
    assert allowed == [0, 1, 2, 3, 4, 5, 8, 12, 16]


def test_pauses_after_failures_double_up_to_a_minute():
    assert [restrictions.pause_ms(n) for n in (0, 4, 5, 6, 7, 11, 99)] == [
        0,
        0,
        1000,
        2000,
        4000,
        60000,
        60000,
    ]


@pytest.mark.parametrize(
    "origin", ["http://accounts.example.com", "https://a.example/", "accounts", "https://"]
)
def test_an_origin_that_could_not_work_is_refused_at_once(origin: str):
    fields = {name: getattr(SETTINGS, name) for name in SETTINGS.__struct_fields__}
    with pytest.raises(ValueError, match="origin"):
        IdentitySettings(**{**fields, "origin": origin})


@pytest.mark.anyio
async def test_hashes_use_the_parameters_owasp_asks_for_and_a_full_queue_is_told_to_come_back():
    hasher = PasswordHasher(workers=1, queue=1)
    assert (MEMORY_KIB, TIME_COST, PARALLELISM) == (19_456, 2, 1)
    outcomes = await asyncio.gather(*(hasher.hash(f"password {n}") for n in range(4)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(refused) == 2
    assert (refused[0].status, refused[0].retry_after) == (503, 2)
    encoded = next(outcome for outcome in outcomes if isinstance(outcome, str))
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await hasher.check(encoded, "nothing like it")).is_correct is False
    assert (await hasher.check(None, "anything")).is_correct is False
    assert (await hasher.check("not a hash", "anything")).is_correct is False
    hasher.close()


@pytest.mark.anyio
async def test_an_unknown_account_is_checked_against_a_hash_of_the_same_cost():
    hasher = PasswordHasher()
    real, decoy = await hasher.hash("anything"), decoy_hash(time_cost=TIME_COST, memory_kib=MEMORY_KIB)
    hasher.close()
    assert argon2.extract_parameters(decoy) == argon2.extract_parameters(real)
    # Computed to the end and compared: an encoding that Argon2 cannot read would be refused at once, with another error.
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        argon2.PasswordHasher().verify(decoy, "anything")


@pytest.mark.parametrize(
    ("who", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0DB8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("user_1", "user_1"),
        ("ada@example.com", "ada@example.com"),
        ("unknown", "unknown"),
    ],
)
def test_a_subscribers_whole_ipv6_network_counts_as_one_address(who: str, counted: str) -> None:
    assert restrictions.counted_as(who) == counted


def test_ids_are_27_letters_of_base62_and_none_is_favoured() -> None:
    letters = "".join(new_id("user").removeprefix("user_") for _ in range(4000))
    counts = Counter(letters)
    assert len(letters) == 4000 * 27
    assert set(counts) == set(string.digits + string.ascii_letters)
    # 1742 of each are expected; a byte taken modulo 62 would give eight letters a quarter more than the others.
    assert max(counts.values()) < 1742 * 1.15

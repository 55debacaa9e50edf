import re

import pytest

from doorward.identity import errors
from doorward.identity.errors import Problem, Refused
from doorward.identity.pages.wording import (
    SENTENCES,
    address_words,
    browser_words,
    errors_by_field,
    scope_words,
    sentence,
)


@pytest.mark.parametrize("told", SENTENCES.values())
def test_what_people_read_is_whole_sentences_that_neither_shout_nor_blame(told: str) -> None:
    assert told.endswith(".")
    assert "!" not in told
    assert not re.search(r"\b(invalid|failed|oops|error|illegal|please|email)\b", told, re.IGNORECASE)


def test_every_sentence_is_for_a_code_there_is() -> None:
    codes = {value.code for value in vars(errors).values() if isinstance(value, Problem)}
    assert set(SENTENCES) - codes == {"oauth_authorize_request_error"}


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "Too many attempts. Try again in a little while."),
        (1, "Too many attempts. Try again in a second."),
        (20, "Too many attempts. Try again in 20 seconds."),
        (121, "Too many attempts. Try again in 3 minutes."),
    ],
)
def test_waiting_says_for_how_long(seconds: int | None, told: str) -> None:
    assert sentence(errors.TOO_MANY_REQUESTS, seconds) == told


def test_an_unknown_address_and_a_wrong_password_read_the_same() -> None:
    assert sentence(errors.FORM_IDENTIFIER_NOT_FOUND) == sentence(
        errors.FORM_PASSWORD_OR_IDENTIFIER_INCORRECT
    )


def test_each_problem_stands_beside_its_own_field() -> None:
    refused = Refused(errors.FORM_PARAM_FORMAT_INVALID.at("email_address"), errors.FORM_PASSWORD_TOO_SHORT)
    told = errors_by_field(refused, {"email_address": "email", "password": "password"})
    assert told == {
        "email": "This is not an e-mail address. It looks like ada@example.com.",
        "password": "Use at least 8 characters. A few words in a row are easy to remember.",
    }


def test_a_problem_of_no_field_stands_above_the_form() -> None:
    assert set(errors_by_field(Refused(errors.OVERLOADED), {})) == {""}


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
            "Safari on macOS",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1",
            "Chrome on iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        ("doorward/0.1.0 (Linux)", "Doorward in a terminal on Linux"),
        ("", "An unknown browser"),
        ("<script>", "An unknown browser"),
    ],
)
def test_a_browser_is_named_as_its_owner_would(user_agent: str, words: str) -> None:
    assert browser_words(user_agent) == words


def test_a_scope_nobody_put_into_words_is_shown_by_its_name() -> None:
    assert scope_words("email") == "See your e-mail address"
    assert scope_words("launch:missiles") == "launch:missiles"


def test_this_machine_is_called_that() -> None:
    assert address_words("127.0.0.1") == address_words("::1") == "this machine"
    assert address_words("203.0.113.7") == "203.0.113.7"
    assert address_words("") == "unknown address"

"""Scope strings and the relay's policy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.t3_connect import InvalidScope, parse_scope
from doorward.t3_connect.scopes import (
    ADMINISTRATIVE_SCOPES,
    ENVIRONMENT_SCOPES,
    RELAY_SCOPES,
    STANDARD_SCOPES,
    relay_scopes,
)

ALLOWED = [chr(code) for code in range(0x21, 0x7F) if code not in (0x22, 0x5C)]


def test_duplicates_collapse_and_order_stays() -> None:
    text = "environment:status environment:connect environment:status"
    assert parse_scope(text) == ("environment:status", "environment:connect")


@pytest.mark.parametrize(
    "text", ["", " ", "a ", " a", "a  b", "a\tb", "a\nb", "a\u00a0b", 'a"b', "a\\b", "a\x7f", "é", "a \x00"]
)
def test_everything_else_is_invalid(text) -> None:
    with pytest.raises(InvalidScope):
        parse_scope(text)


@given(st.text(max_size=6))
def test_exactly_the_grammars_characters_are_taken(text) -> None:
    is_valid = all(token and all(character in ALLOWED for character in token) for token in text.split(" "))
    if is_valid:
        assert " ".join(parse_scope(text)) == " ".join(dict.fromkeys(text.split(" ")))
    else:
        with pytest.raises(InvalidScope):
            parse_scope(text)


def test_every_single_character_is_judged_by_the_grammar() -> None:
    for code in range(0x100):
        if chr(code) in ALLOWED:
            assert parse_scope(chr(code)) == (chr(code),)
        else:
            with pytest.raises(InvalidScope):
                parse_scope(chr(code))


def test_a_set_bounds_what_may_be_asked() -> None:
    assert parse_scope("relay:read", within=STANDARD_SCOPES) == ("relay:read",)
    with pytest.raises(InvalidScope):
        parse_scope("relay:read access:write", within=STANDARD_SCOPES)
    assert set(parse_scope("relay:read access:write", within=ENVIRONMENT_SCOPES)) <= ENVIRONMENT_SCOPES
    with pytest.raises(InvalidScope):
        parse_scope("anything", within=())


def test_the_sets_are_the_protocols() -> None:
    assert " ".join(STANDARD_SCOPES) == (
        "orchestration:read orchestration:operate terminal:operate review:write relay:read"
    )
    assert (
        " ".join(ADMINISTRATIVE_SCOPES) == " ".join(STANDARD_SCOPES) + " access:read access:write relay:write"
    )
    assert len(ENVIRONMENT_SCOPES) == 8
    assert RELAY_SCOPES == ("environment:connect", "environment:status", "mobile:registration")


@pytest.mark.parametrize("client", ["t3-web", "doorward-cli", "doorward-gate"])
def test_only_the_mobile_client_may_register(client) -> None:
    assert relay_scopes("environment:status environment:connect", client) == (
        "environment:status",
        "environment:connect",
    )
    for text in ("mobile:registration", "environment:connect mobile:registration", "environment:admin", ""):
        with pytest.raises(InvalidScope):
            relay_scopes(text, client)
    assert relay_scopes(" ".join(RELAY_SCOPES), "t3-mobile") == RELAY_SCOPES


def test_an_unknown_client_gets_nothing() -> None:
    for client in ("", "t3-desktop", "T3-WEB"):
        with pytest.raises(InvalidScope):
            relay_scopes("environment:connect", client)

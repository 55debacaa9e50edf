"""What a `.env` file says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.client.environment_files import parse_environment_file


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=plain", "plain"),
        ("export NAME = spaced out ", "spaced out"),
        ("NAME=value # why", "value"),
        ("NAME=pk_test_a#b", "pk_test_a#b"),
        ("NAME='as $it \\n is' # why", "as $it \\n is"),
        (r'NAME="two\nlines \"quoted\""', 'two\nlines "quoted"'),
        ("NAME=", ""),
        ("NAME=$OTHER", "$OTHER"),
        ("NAME='open", "'open"),
    ],
)
def test_a_line_sets_a_variable(line, value):
    assert parse_environment_file(line) == {"NAME": value}


@pytest.mark.parametrize("line", ["", "# NAME=value", "NAME", "1NAME=x", "NA ME=x", "=x"])
def test_what_sets_nothing_is_passed_over(line):
    assert parse_environment_file(f"{line}\nOTHER=x") == {"OTHER": "x"}


def test_of_a_name_set_twice_the_last_counts():
    assert parse_environment_file("A=1\nB=2\nA=3") == {"A": "3", "B": "2"}


@given(st.text())
def test_no_text_is_too_strange_to_read(text):
    assert all(name.isidentifier() for name in parse_environment_file(text))

"""JSON text against the engine whose text it must be."""

from __future__ import annotations

import json
import shutil
import subprocess

import msgspec
from hypothesis import given
from hypothesis import strategies as some

from doorward.identity.webhooks.json_text import json_text
from tests.system_parts import require_system_part

HARD = [
    0.0, -0.0, 1.0, -1.5, 0.1, 1e-6, 1e-7, 1.5e-6, 123.456, 1e16, 1e20, 1e21, 1.25e31, 5e-324, 1.7976931348623157e308,
    2**53, 2**53 + 1, 2**60 + 1, 12345678901234567890123, -(2**63), 9007199254740993,
    "\x00\b\f\n\r\t\x1f\x7f\u2028\u2029 é 😀 \" \\ / <", {"b": 1, "10": 2, "9": 3, "01": 4, "a": 5, "4294967295": 6, "0": 7, "4294967294": 8},
    [None, True, False, [], {}],
]  # fmt: skip


def test_every_hard_value_is_written_as_javascript_writes_it() -> None:
    require_system_part("node", None if shutil.which("node") else "node is not installed")
    script = "process.stdout.write(JSON.stringify(JSON.parse(require('fs').readFileSync(0, 'utf8'))))"
    done = subprocess.run(["node", "-e", script], input=json.dumps(HARD), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json_text(HARD) == done.stdout


def test_stored_text_is_written_anew() -> None:
    assert json_text({"public_metadata": msgspec.Raw(b'{ "a": 1.0, "b": "\\u00e9" }')}) == (
        '{"public_metadata":{"a":1,"b":"é"}}'
    )


@given(some.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_its_value(value: float) -> None:
    assert float(json.loads(json_text(value))) == value


@given(
    some.recursive(
        some.none() | some.booleans() | some.integers(-(2**53), 2**53) | some.text(),
        lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
        max_leaves=12,
    )
)
def test_anything_comes_back_and_is_written_the_same_again(value: object) -> None:
    text = json_text(value)
    assert json.loads(text) == value
    assert json_text(msgspec.json.decode(text)) == text

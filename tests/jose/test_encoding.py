"""One spelling per value: base64url, JSON, canonical JSON, an ECDSA signature."""

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature as BadSignature
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import example, given
from hypothesis import strategies as st

from doorward.jose import MalformedToken, b64url_decode, b64url_encode, canonical_json
from doorward.jose.keys import _der_signature
from doorward.jose.strict_json import MAX_DEPTH, decode_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text('abé"\\', max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text('abé"\\', max_size=3), VALUES, max_size=4)


@given(st.binary())
def test_bytes_come_back_from_base64url(data) -> None:
    text = b64url_encode(data)
    assert text == base64.urlsafe_b64encode(data).decode().rstrip("=")
    assert b64url_decode(text) == b64url_decode(text.encode()) == data


@given(st.text(st.characters(codec="ascii"), max_size=12) | st.text("AQgwBCab-_+/= \n", max_size=6))
def test_whatever_decodes_is_the_one_spelling_of_its_bytes(text) -> None:
    try:
        data = b64url_decode(text)
    except MalformedToken:
        return
    assert b64url_encode(data) == text


@pytest.mark.parametrize(
    "text",
    ["A", "AAAAA", "AA=", "AA==", "AAA=", "AB", "AAB", "AA\n", " AA", "A A", "+A", "/A", "A.A", "é", "AA\0"],
)
def test_other_spellings_are_refused(text) -> None:
    with pytest.raises(MalformedToken):
        b64url_decode(text)


@pytest.mark.parametrize(
    "text, data", [("", b""), ("AA", b"\0"), ("AQ", b"\1"), ("_w", b"\xff"), ("-_8", b"\xfb\xff")]
)
def test_known_spellings(text, data) -> None:
    assert b64url_decode(text) == data
    assert b64url_encode(data) == text


@given(OBJECTS)
def test_strict_json_reads_what_the_standard_library_reads(value) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1), json.dumps(value, ensure_ascii=False)):
        assert decode_object(text.encode()) == json.loads(text)


@given(st.binary(max_size=40) | st.text('{}[]":,a1 ', max_size=20).map(str.encode))
def test_strict_json_never_fails_otherwise_than_as_malformed(raw) -> None:
    try:
        value = decode_object(raw)
    except MalformedToken:
        return
    assert value == json.loads(raw)


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"{}"', b"null", b"", b"{}{}", b"{1:2}"])
def test_anything_but_an_object_is_refused(raw) -> None:
    with pytest.raises(MalformedToken):
        decode_object(raw)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=5))
def test_repeated_names_are_always_found(names) -> None:
    raw = ("{" + ",".join(f'"{name}":1' for name in names) + "}").encode()
    if len(set(names)) == len(names):
        assert decode_object(raw) == dict.fromkeys(names, 1)
    else:
        with pytest.raises(MalformedToken):
            decode_object(raw)


@pytest.mark.parametrize("opening, closing", [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_bounded_exactly(opening, closing) -> None:
    below = MAX_DEPTH - 1  # the outermost object is a level
    decode_object(b'{"a":' + opening * below + b"1" + closing * below + b"}")
    decode_object(b'{"a":' + opening * (below - 1) + b"[]" + closing * (below - 1) + b"}")
    with pytest.raises(MalformedToken):
        decode_object(b'{"a":' + opening * (below + 1) + b"1" + closing * (below + 1) + b"}")
    with pytest.raises(MalformedToken):
        decode_object(b'{"a":' + opening * below + b"[]" + closing * below + b"}")


def test_depth_beside_a_long_shallow_list_is_found() -> None:
    deep = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    with pytest.raises(MalformedToken):
        decode_object(b'{"a":[' + b"1," * 100 + b'1],"b":' + deep + b"}")


def test_brackets_inside_strings_are_not_depth() -> None:
    assert decode_object(b'{"a":"' + b"[" * 200 + b'"}') == {"a": "[" * 200}


def test_canonical_json_sorts_and_wastes_nothing() -> None:
    value = {"z": 1, "list": [{"c": "three", "a": "one"}], "a": {"y": True, "b": None}}
    expected = b'{"a":{"b":null,"y":true},"list":[{"a":"one","c":"three"}],"z":1}'
    assert canonical_json(value) == expected


@given(OBJECTS)
def test_canonical_json_is_one_spelling(value) -> None:
    raw = canonical_json(value)
    assert decode_object(raw) == json.loads(json.dumps(value))
    assert canonical_json(decode_object(raw)) == raw


_HALF = st.binary(min_size=32, max_size=32) | st.builds(
    lambda zeros, first, rest: (bytes(zeros) + bytes((first,)) + rest)[:32].ljust(32, b"\x80"),
    st.integers(0, 31),
    st.sampled_from((0x00, 0x01, 0x7F, 0x80, 0xFF)),
    st.binary(max_size=31),
)


@given(_HALF, _HALF)
@example(b"\xff" * 32, b"\xff" * 32)
@example(bytes(31) + b"\x01", bytes(31) + b"\x80")
@example(bytes(31) + b"\x80", b"\x80" + bytes(31))
@example(bytes(1) + b"\x80" + bytes(30), bytes(1) + b"\x7f" + bytes(30))
@example(bytes(32), b"\x01" * 32)
@example(b"\x01" * 32, bytes(32))
def test_an_es256_signature_in_der_is_what_cryptography_makes_of_its_numbers(r, s) -> None:
    if r == bytes(32) or s == bytes(32):
        with pytest.raises(BadSignature):
            _der_signature(r + s)
    else:
        made = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        assert _der_signature(r + s) == made


@given(st.binary(max_size=70).filter(lambda data: len(data) != 64))
def test_only_64_bytes_have_a_der_form(signature) -> None:
    with pytest.raises(BadSignature):
        _der_signature(signature)

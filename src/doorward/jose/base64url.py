"""Base64url without padding (RFC 7515 §2), with exactly one accepted spelling per byte string."""

from __future__ import annotations

from binascii import b2a_base64

import msgspec

from doorward.jose.errors import MalformedToken

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_URL = bytes.maketrans(b"+/", b"-_")
# To the standard alphabet; every byte outside ours, quotes and backslashes too, becomes one no decoder takes.
_FROM_URL = bytes(byte if byte in _ALPHABET else ord("!") for byte in range(256)).translate(
    bytes.maketrans(b"-_", b"+/")
)
# msgspec reads base64 in JSON strings at twice the speed of binascii, as strictly but for the unused bits.
_decode = msgspec.json.Decoder(bytes).decode
_END = (b'"', b'==="', b'=="', b'="')
# The last character, where only 2 or 4 of its 6 bits carry data: the others must be zero.
_LAST = {2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}


def b64url_encode(data: bytes) -> str:
    return b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def b64url_decode(text: str | bytes) -> bytes:
    """The bytes of `text`. Raises MalformedToken for padding, white space, characters of the standard
    alphabet, and non-zero unused bits: a token with two spellings would slip past replay checks."""
    try:
        raw = text.encode("ascii") if isinstance(text, str) else text
        rest = len(raw) % 4
        # Letters and digits mean the same in both alphabets, and JSON in ASCII hardly has anything else.
        standard = raw if raw.isalnum() else raw.translate(_FROM_URL)
        data = _decode(b'"' + standard + _END[rest])
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise MalformedToken("not base64url") from None
    if rest and raw[-1] not in _LAST[rest]:
        raise MalformedToken("not the one base64url spelling of its bytes")
    return data

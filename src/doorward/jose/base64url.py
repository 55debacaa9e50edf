"""Base64url without padding (RFC 7515 §2), with exactly one accepted spelling per byte string."""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64

from doorward.jose.errors import MalformedToken

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def b64url_encode(data: bytes) -> str:
    return b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def b64url_decode(text: str | bytes) -> bytes:
    """The bytes of `text`. Raises MalformedToken for padding, white space, characters of the standard
    alphabet, and non-zero unused bits: a token with two spellings would slip past replay checks."""
    try:
        raw = text.encode("ascii") if isinstance(text, str) else text
        data = a2b_base64(raw.translate(_FROM_URL) + b"==")
    except (Error, UnicodeEncodeError):
        raise MalformedToken("not base64url") from None
    if b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=") != raw:
        raise MalformedToken("not the one base64url spelling of its bytes")
    return data

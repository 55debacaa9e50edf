"""The key phrase: six words by which a person recognises a device's key on two screens.

The derivation, which browsers repeat in JavaScript from the same `words.txt` (2,048 lines, LF, in
alphabetical order; word number 0 is the first line):

1. `digest` = SHA-256 of the thumbprint's ASCII characters: the RFC 7638 thumbprint as base64url text
   (43 characters), not its bytes;
2. read `digest` as a bit string, most significant bit of the first byte first;
3. word number i (0 to 5) is the line whose number is bits 11*i to 11*i+10 as an unsigned integer;
4. the phrase is the six words joined by single spaces.

66 of the 256 bits are used. Finding another key with a given phrase takes about 2^65 key generations;
the thumbprint, not the phrase, is what programs compare.
"""

from __future__ import annotations

from hashlib import sha256
from os import path

# Not importlib.resources: its import would be a tenth of what importing this package costs.
with open(path.join(path.dirname(__file__), "words.txt"), encoding="ascii") as _lines:
    WORDS: tuple[str, ...] = tuple(_lines.read().split())

_WORD_BITS = 11
_PHRASE_WORDS = 6


def key_phrase(thumbprint: str) -> str:
    """The six words of a thumbprint, such as "anvil mellow ..."."""
    bits = int.from_bytes(sha256(thumbprint.encode("ascii")).digest(), "big")
    shifts = (256 - _WORD_BITS * (place + 1) for place in range(_PHRASE_WORDS))
    return " ".join(WORDS[(bits >> shift) & (2**_WORD_BITS - 1)] for shift in shifts)

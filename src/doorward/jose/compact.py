"""The compact serialisation of a JWS (RFC 7515 §7.1): three dot-separated parts, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from doorward.jose.base64url import b64url_decode
from doorward.jose.errors import MalformedToken
from doorward.jose.strict_json import decode_object

MAX_TOKEN_LENGTH = 16_384  # characters; the widest session token of a large organisation has about 3,000


# header, payload (nothing of it is read before the signature is checked), signing input, signature
Compact = tuple[Mapping[str, Any], bytes, bytes, bytes]


def split_compact(token: str) -> Compact:
    """The parts of `token`, its header checked. Raises MalformedToken."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise MalformedToken("longer than any token we take")
    try:
        raw = token.encode("ascii")
    except UnicodeEncodeError:
        raise MalformedToken("not base64url") from None
    # A dot too many ends up in the payload, where base64url has no place for it.
    signing_input, _, signature = raw.rpartition(b".")
    protected, dot, payload = signing_input.partition(b".")
    if not dot:
        raise MalformedToken("a token has three parts")
    return parse_header(protected), b64url_decode(payload), signing_input, b64url_decode(signature)


# An issuer's tokens share one header for as long as the key lives, so reading it once is most of the work
# saved. Bounded: a stranger's headers can only push others out.
@lru_cache(maxsize=512)
def parse_header(protected: bytes) -> Mapping[str, Any]:
    """The protected header, read-only. `jwk`, `jku`, `x5c` and `x5u` in it are data: no key is ever taken
    from there (but a DPoP proof's own, in dpop.py). Raises MalformedToken."""
    header = decode_object(b64url_decode(protected))
    if not isinstance(header.get("alg"), str):
        raise MalformedToken("the header names no algorithm", claim="alg")
    # We implement no extension, so a critical one must fail (RFC 7515 §4.1.11); an unencoded payload
    # (RFC 7797) would let signed bytes be read in two ways.
    for extension in ("crit", "b64"):
        if extension in header:
            raise MalformedToken("the header asks for an extension we do not have", claim=extension)
    for name in ("typ", "kid"):
        if name in header and not isinstance(header[name], str):
            raise MalformedToken(f"the header's {name} is not a string", claim=name)
    return MappingProxyType(header)

"""The form of an environment credential. Pure but for randomness."""

import hashlib
import secrets

import msgspec

from doorward.jose import b64url_encode


class NewCredential(msgspec.Struct, frozen=True):
    """`token` goes to the environment once; the relay keeps `credential_id` and `credential_hash`."""

    credential_id: str
    token: str
    credential_hash: str

    def __repr__(self) -> str:
        return f"NewCredential(credential_id={self.credential_id!r})"


def new_credential() -> NewCredential:
    credential_id = secrets.token_hex(32)
    token = f"t3env_{credential_id}_{secrets.token_hex(48)}"
    return NewCredential(credential_id, token, hash_credential(token))


def hash_credential(token: str) -> str:
    """SHA-256, base64url: 384 random bits need no slow hash, and a look-up by hash needs no comparison."""
    return b64url_encode(hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest())

"""The relay's signing key at work. Pure."""

from doorward.jose import PrivateKey
from doorward.t3_connect import public_key_to_pem, sign_t3_jwt
from doorward.t3_connect.claims import WireClaims


class InvalidToken(Exception):
    """A token that does not hold; `code` is for logs and never holds token text."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TokenSigner:
    """The cloud-mint key and the issuer it speaks for. Holds no other state; time and ids are arguments."""

    def __init__(self, key: PrivateKey, issuer: str) -> None:
        self._key = key
        self.issuer = issuer
        self.public_key = key.public
        self.public_key_pem = public_key_to_pem(key.public)

    def sign(self, payload: WireClaims, typ: str) -> str:
        return sign_t3_jwt(payload, self._key, typ=typ)

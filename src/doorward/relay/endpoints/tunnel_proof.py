"""The connector's signature over the edge's nonce."""

from doorward.jose import JoseError, PublicKey, b64url_decode, b64url_encode, peek_header

TYP_TUNNEL = "doorward-tunnel+jwt"


def is_signed_by(public_key: bytes, token: str) -> bool:
    """Whether the registered key (32 raw bytes) signed this tunnel token.

    Nonce, audience and lifetime are the edge's to check, which issued the nonce and holds the connection.
    """
    try:
        key = PublicKey.from_jwk(
            {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(public_key)}, alg="EdDSA"
        )
        header = peek_header(token)
        signed, _, signature = token.rpartition(".")
        is_tunnel_token = header["alg"] in key.header_names and header.get("typ") == TYP_TUNNEL
        return is_tunnel_token and key.verify(b64url_decode(signature), signed.encode("ascii"))
    except (JoseError, UnicodeEncodeError):
        return False

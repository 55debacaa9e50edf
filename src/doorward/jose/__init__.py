"""Keys, signed tokens and proofs of possession: the strict core everything else trusts.

Owns JWK and PEM keys bound to one algorithm, JWTs (RFC 7519 with the advice of RFC 8725), DPoP proofs
(RFC 9449), thumbprints (RFC 7638) and the key phrase people compare. Pure: no I/O, no clock; `now` is an
argument, in seconds. Mounts no routes and imports no other room; `cryptography` does the mathematics.

    base64url, strict_json, compact   the one accepted spelling of everything
    keys, roca                        keys, checked when made
    foreign                           keys of other systems' algorithms
    sign, verify, dpop, urls          one operation a file
    key_phrase                        six words of 2,048 for a thumbprint
    errors                            the tree of what can be wrong
"""

from doorward.jose.base64url import b64url_decode, b64url_encode
from doorward.jose.dpop import DpopProof, access_token_hash, create_dpop_proof, verify_dpop_proof
from doorward.jose.errors import (
    AlgorithmRefused,
    ClaimRefused,
    DpopError,
    InvalidKey,
    InvalidSignature,
    JoseError,
    MalformedToken,
    TokenExpired,
    UnknownKey,
)
from doorward.jose.foreign import (
    FOREIGN_ALGORITHMS,
    ForeignKey,
    ForeignSigningKey,
    foreign_keys_of_jwk,
)
from doorward.jose.key_phrase import WORDS, key_phrase
from doorward.jose.keys import (
    Algorithm,
    KeySet,
    PrivateKey,
    PublicKey,
    SecretKey,
    SigningKey,
    VerifyingKey,
    generate_key,
)
from doorward.jose.sign import sign_jwt
from doorward.jose.strict_json import canonical_json
from doorward.jose.urls import normalize_url
from doorward.jose.verify import Verified, peek_claims, peek_header, verify_jws, verify_jwt

__all__ = [
    "FOREIGN_ALGORITHMS",
    "WORDS",
    "Algorithm",
    "AlgorithmRefused",
    "ClaimRefused",
    "DpopError",
    "DpopProof",
    "ForeignKey",
    "ForeignSigningKey",
    "InvalidKey",
    "InvalidSignature",
    "JoseError",
    "KeySet",
    "MalformedToken",
    "PrivateKey",
    "PublicKey",
    "SecretKey",
    "SigningKey",
    "TokenExpired",
    "UnknownKey",
    "Verified",
    "VerifyingKey",
    "access_token_hash",
    "b64url_decode",
    "b64url_encode",
    "canonical_json",
    "create_dpop_proof",
    "foreign_keys_of_jwk",
    "generate_key",
    "key_phrase",
    "normalize_url",
    "peek_claims",
    "peek_header",
    "sign_jwt",
    "verify_dpop_proof",
    "verify_jws",
    "verify_jwt",
]

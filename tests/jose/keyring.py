"""Keys made once for the whole suite, and tokens put together by hand, which no library would make."""

import json
from typing import Any

from doorward.jose import PrivateKey, SecretKey, b64url_encode, generate_key

RSA = generate_key("RS256")
RSA_OTHER = generate_key("RS256")
EC = generate_key("ES256")
EC_OTHER = generate_key("ES256")
ED = generate_key("EdDSA")
ED_RFC9864 = generate_key("Ed25519")
SECRET = SecretKey(bytes(range(32)))
SIGNING = (RSA, EC, ED, ED_RFC9864, SECRET)

NOW = 1_800_000_000
CLAIMS = {"iss": "https://issuer.example", "aud": "api", "sub": "user_1", "iat": NOW, "exp": NOW + 60}


def part(value: Any) -> str:
    return b64url_encode(value if isinstance(value, bytes) else json.dumps(value).encode())


def token(
    header: Any, payload: Any = CLAIMS, *, key: PrivateKey | SecretKey | None = None, signature: bytes = b""
) -> str:
    """A compact JWS of any header and payload, signed by `key` or carrying `signature`."""
    text = f"{part(header)}.{part(payload)}"
    return f"{text}.{b64url_encode(key.sign(text.encode()) if key else signature)}"


def verifier(key: PrivateKey | SecretKey) -> Any:
    return key.public if isinstance(key, PrivateKey) else key

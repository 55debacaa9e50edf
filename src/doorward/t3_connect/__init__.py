"""The T3 Connect wire: what relay, environment and clients say to one another.

Owns every body, claim set, `typ`, scope and error of the protocol as declared structs, and the one
procedure by which its JWTs are checked. Pure: no I/O, no clock, no routes. Neighbours: `jose` does the
cryptography; `relay`, `environment` and `client` speak this wire.

    wire        trimmed strings, optional members, JSON and form decoding, ISO times
    messages    bodies: shared, relay, environment
    claims      JWT payloads and their `typ`
    tokens      signing and verifying those JWTs
    scopes      scope strings and who may ask for what
    origins     issuers and origins
    errors      one table per server
"""

from doorward.t3_connect.errors import EnvironmentError_, RelayError
from doorward.t3_connect.origins import (
    InsecureOrigin,
    environment_issuer,
    is_loopback_host,
    is_secure_endpoint,
    normalize_issuer,
    secure_origin,
)
from doorward.t3_connect.scopes import InvalidScope, parse_scope
from doorward.t3_connect.tokens import public_key_from_pem, public_key_to_pem, sign_t3_jwt, verify_t3_jwt
from doorward.t3_connect.wire import (
    SchemaMismatch,
    decode_form,
    decode_json,
    encode_json,
    iso,
    known,
    parse_iso,
    unset_if_none,
)

__all__ = [
    "EnvironmentError_",
    "InsecureOrigin",
    "InvalidScope",
    "RelayError",
    "SchemaMismatch",
    "decode_form",
    "decode_json",
    "encode_json",
    "environment_issuer",
    "is_loopback_host",
    "is_secure_endpoint",
    "iso",
    "known",
    "normalize_issuer",
    "parse_iso",
    "parse_scope",
    "public_key_from_pem",
    "public_key_to_pem",
    "secure_origin",
    "sign_t3_jwt",
    "unset_if_none",
    "verify_t3_jwt",
]

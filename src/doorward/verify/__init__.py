"""Checking Doorward's tokens from any Python service, with two small dependencies.

Owns the key-set cache and one function per kind of token: a session's JWT, an OAuth access token
(RFC 9068), and `Doorward-Assertion`, by which a machine tells its local service who is visiting. Mounts
no routes; needs `jose` only, so that a service which only checks tokens installs little and starts fast.

    keys = JwksCache("https://accounts.example.com/.well-known/jwks.json")
    session = await verify_session_token(token, jwks=keys, issuer="https://accounts.example.com")
"""

from doorward.verify.assertion import TYP_ASSERTION, Assertion, verify_assertion
from doorward.verify.jwks import JwksCache, KeySetUnavailable
from doorward.verify.tokens import (
    AccessToken,
    SessionToken,
    verify_oauth_access_token,
    verify_session_token,
)

__all__ = [
    "TYP_ASSERTION",
    "AccessToken",
    "Assertion",
    "JwksCache",
    "KeySetUnavailable",
    "SessionToken",
    "verify_assertion",
    "verify_oauth_access_token",
    "verify_session_token",
]

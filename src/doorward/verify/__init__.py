"""Checking Doorward's tokens and requests from any Python service, with two small dependencies.

    auth = Authenticator(authorized_parties=["https://app.example.com"])    # keys from CLERK_* variables
    state = await auth.authenticate_request_async(auth_request("GET", url, headers))

Owns the verdict on a request (`Authenticator`), the client for machine tokens (`Machine`), the key-set cache and one
function per kind of token. Mounts no routes; needs `jose` only (`webhooks`: `webhook_signing`), so that a service which
only checks tokens installs little and starts fast. Frameworks are imported by their module of `integrations` and by
nothing else.

    decision, handshake, session_cookies   the core: what `@clerk/backend` decides, decided without I/O
    jwt, machine_tokens                    one token, checked
    organization, authorization, results   what a token says and what it permits
    settings, requests, state              what goes in and what comes out
    effects, authenticator, transport      the core's wishes, and the shells that grant them
    tokens, assertion                      plain functions for a service with one kind of token
    webhooks                               a delivery of a webhook, checked; imported by name
    reasons, errors                        every reason and every error
"""

from doorward.verify.assertion import TYP_ASSERTION, Assertion, verify_assertion
from doorward.verify.authenticator import Authenticator
from doorward.verify.authorization import Reverification
from doorward.verify.errors import (
    ApiError,
    ConfigurationError,
    HandshakeFailed,
    KeySetUnavailable,
    TokenRefused,
    VerifyError,
)
from doorward.verify.jwks import JwksCache
from doorward.verify.machine import Machine
from doorward.verify.requests import AuthRequest, auth_request
from doorward.verify.results import ApiKeyAuth, Auth, InvalidTokenAuth, M2MAuth, OAuthAuth, SessionAuth
from doorward.verify.state import RequestState
from doorward.verify.tokens import (
    AccessToken,
    SessionToken,
    verify_oauth_access_token,
    verify_session_token,
)

__all__ = [
    "TYP_ASSERTION",
    "AccessToken",
    "ApiError",
    "ApiKeyAuth",
    "Assertion",
    "Auth",
    "AuthRequest",
    "Authenticator",
    "ConfigurationError",
    "HandshakeFailed",
    "InvalidTokenAuth",
    "JwksCache",
    "KeySetUnavailable",
    "M2MAuth",
    "Machine",
    "OAuthAuth",
    "RequestState",
    "Reverification",
    "SessionAuth",
    "SessionToken",
    "TokenRefused",
    "VerifyError",
    "auth_request",
    "verify_assertion",
    "verify_oauth_access_token",
    "verify_session_token",
]

"""Every reason a request may be signed out for, in Clerk's literal words: programs compare them.

The first table is about the request as a whole, the second about a JWT, the third about machine tokens;
the fourth ends `session-token-expired-refresh-<why>`.
"""

from __future__ import annotations

CLIENT_UAT_WITHOUT_SESSION_TOKEN = "client-uat-but-no-session-token"
DEV_BROWSER_MISSING = "dev-browser-missing"
DEV_BROWSER_SYNC = "dev-browser-sync"
PRIMARY_DOMAIN_CROSS_ORIGIN_SYNC = "primary-domain-cross-origin-sync"
SESSION_TOKEN_AND_UAT_MISSING = "session-token-and-uat-missing"
SESSION_TOKEN_MISSING = "session-token-missing"
SESSION_TOKEN_EXPIRED = "session-token-expired"
SESSION_TOKEN_IAT_BEFORE_CLIENT_UAT = "session-token-iat-before-client-uat"
SESSION_TOKEN_NBF = "session-token-nbf"
SESSION_TOKEN_IAT_IN_THE_FUTURE = "session-token-iat-in-the-future"
SESSION_TOKEN_WITHOUT_CLIENT_UAT = "session-token-but-no-client-uat"
TOKEN_TYPE_MISMATCH = "token-type-mismatch"
UNEXPECTED_ERROR = "unexpected-error"
NO_TOKEN_IN_HEADER = "No token in header"

TOKEN_EXPIRED = "token-expired"
TOKEN_INVALID = "token-invalid"
TOKEN_INVALID_ALGORITHM = "token-invalid-algorithm"
TOKEN_INVALID_AUTHORIZED_PARTIES = "token-invalid-authorized-parties"
TOKEN_INVALID_ISSUER = "token-invalid-issuer"
TOKEN_INVALID_SIGNATURE = "token-invalid-signature"
TOKEN_NOT_ACTIVE_YET = "token-not-active-yet"
TOKEN_IAT_IN_THE_FUTURE = "token-iat-in-the-future"
TOKEN_VERIFICATION_FAILED = "token-verification-failed"
REMOTE_JWK_FAILED_TO_LOAD = "jwk-remote-failed-to-load"
JWK_FAILED_TO_RESOLVE = "jwk-failed-to-resolve"
JWK_KID_MISMATCH = "jwk-kid-mismatch"

SECRET_KEY_INVALID = "secret-key-invalid"

REFRESH_NO_COOKIE = "non-eligible-no-refresh-cookie"
REFRESH_NOT_GET = "non-eligible-non-get"
REFRESH_INVALID_SESSION_TOKEN = "invalid-session-token"
REFRESH_MISSING_SESSION_TOKEN = "missing-session-token"
REFRESH_DECODE_FAILED = "expired-session-token-decode-failed"
REFRESH_MISSING_SID = "expired-session-token-missing-sid-claim"
REFRESH_FETCH_ERROR = "fetch-error"
REFRESH_UNEXPECTED_SDK_ERROR = "unexpected-sdk-error"
REFRESH_UNEXPECTED_API_ERROR = "unexpected-bapi-error"

ENSURE_OUR_JWT = "Make sure that this is a valid Clerk-generated JWT."
SET_JWT_KEY = "Set the CLERK_JWT_KEY environment variable."
CHECK_KEYS = "Check that the secret key and the publishable key belong to the instance that issued the token."

"""Refusals about accounts: signing up and in, sessions, proofs, passwords, invitations, the waitlist, bans."""

from __future__ import annotations

from doorward.identity.errors.problem import Problem

# 400
SESSION_EXISTS = Problem(400, "session_exists", "Session already exists", "You're already signed in.")
CLIENT_STATE_INVALID = Problem(
    400, "client_state_invalid", "Invalid action", "We were unable to complete this action for this Client."
)
STRATEGY_FOR_USER_INVALID = Problem(
    400,
    "strategy_for_user_invalid",
    "Invalid verification strategy",
    "The verification strategy is not valid for this account",
)
IDENTIFICATION_CLAIMED = Problem(
    400,
    "identification_claimed",
    "Identification claimed by another user",
    "One or more identifiers on this sign up have since been connected to a different User. Please sign up again.",
)
VERIFICATION_ALREADY_VERIFIED = Problem(
    400, "verification_already_verified", "already verified", "This verification has already been verified."
)
VERIFICATION_EXPIRED = Problem(
    400, "verification_expired", "expired", "This verification has expired. You must create a new one."
)
VERIFICATION_FAILED = Problem(
    400,
    "verification_failed",
    "failed",
    "Too many failed attempts. You have to try again with the same or another method.",
)
VERIFICATION_MISSING = Problem(
    400,
    "verification_missing",
    "is missing",
    "This strategy requires verification preparation before attempting to validate it.",
)
VERIFICATION_STRATEGY_INVALID = Problem(400, "verification_strategy_invalid", "has invalid strategy")
TICKET_INVALID = Problem(400, "ticket_invalid_code", "ticket is invalid", "The ticket is invalid.")
TICKET_EXPIRED = Problem(400, "ticket_expired_code", "ticket has expired", "The ticket has expired.")
INVITATION_REVOKED = Problem(
    400, "revoked_invitation", "invitation revoked", "This invitation has been revoked."
)
INVITATION_ALREADY_ACCEPTED = Problem(
    400,
    "invitation_already_accepted",
    "already accepted",
    "This invitation has already been accepted. Please sign in instead.",
)
IDENTIFICATION_DELETION_FAILED = Problem(
    400, "identification_deletion_failed", "Deletion failed", "You cannot delete your last identification."
)
NO_PASSWORD_SET = Problem(400, "no_password_set", "No password set", "This account has no password.")
INVITATION_ALREADY_REVOKED = Problem(
    400, "invitation_already_revoked", "already revoked", "This invitation has already been revoked."
)
CLIENT_NOT_FOUND = Problem(400, "client_not_found", "Client not found", "The token names no client.")
INVALID_SESSION_TOKEN = Problem(
    400, "invalid_session_token", "Invalid session token", "The token is not a living one of this session."
)
TOTP_DISABLED = Problem(
    400,
    "totp_disabled",
    "TOTP disabled",
    "This account has no authenticator application and no backup codes.",
)
SIGN_IN_TOKEN_NOT_REVOCABLE = Problem(
    400,
    "sign_in_token_cannot_be_revoked_code",
    "Sign-in token cannot be revoked",
    "Only a pending sign-in token can be revoked.",
)
SIGN_IN_TOKEN_REVOKED = Problem(
    400,
    "sign_in_token_revoked_code",
    "Sign-in token revoked",
    "This sign-in token has been revoked and cannot be used.",
)
SIGN_IN_TOKEN_ALREADY_USED = Problem(
    400,
    "sign_in_token_already_used_code",
    "Sign-in token already used",
    "This sign-in token has been used: it signs in once.",
)
ACTOR_TOKEN_REVOKED = Problem(
    400,
    "actor_token_revoked_code",
    "Actor token revoked",
    "This actor token has been revoked and cannot be used.",
)
ACTOR_TOKEN_ALREADY_USED = Problem(
    400,
    "actor_token_already_used_code",
    "Actor token already used",
    "This actor token has been used: it signs in once.",
)
ACTOR_TOKEN_NOT_REVOCABLE = Problem(
    400,
    "actor_token_cannot_be_revoked_code",
    "Actor token cannot be revoked",
    "Only a pending actor token can be revoked.",
)

# 401
AUTHENTICATION_INVALID = Problem(
    401,
    "authentication_invalid",
    "Invalid authentication",
    "Unable to authenticate the request, you need to supply an active session",
)
REFRESH_SID_MISMATCH = Problem(
    401, "refresh_sid_mismatch", "Session mismatch", "The expired token is of another session."
)
REFRESH_EXPIRED_TOKEN_INVALID = Problem(
    401, "expired_session_token_invalid", "Token invalid", "The expired token is none of this instance."
)
REFRESH_ORIGIN_INVALID = Problem(
    401, "refresh_request_origin_invalid", "Origin invalid", "request_origin is the origin of a page."
)
REFRESH_ORIGIN_MISMATCH = Problem(
    401,
    "refresh_request_origin_azp_mismatch",
    "Origin mismatch",
    "The expired token was made for pages of another origin.",
)
REFRESH_EXPIRED_TOKEN_WITHOUT_AZP = Problem(
    401,
    "expired_session_token_missing_azp",
    "Token without origin",
    "The expired token does not say which pages it was made for.",
)
REFRESH_SESSION_NOT_FOUND = Problem(
    401, "session_refresh_session_not_found", "Session not found", "The session is gone."
)
REFRESH_SESSION_INACTIVE = Problem(
    401, "session_refresh_inactive_session", "Session inactive", "The session is over."
)
REFRESH_USER_NOT_FOUND = Problem(
    401, "session_refresh_user_not_found", "User not found", "The session's user is gone or may not sign in."
)
REFRESH_TOKEN_NOT_FOUND = Problem(
    401, "refresh_token_not_found", "Refresh token not found", "No refresh token like this was given out."
)

# 403
AUTHORIZATION_INVALID = Problem(
    403, "authorization_invalid", "Unauthorized request", "You are not authorized to perform this request"
)
ADMINISTRATOR_PROTECTED = Problem(
    403,
    "authorization_invalid",
    "Unauthorized request",
    "This user administers this server: no secret key changes what an administrator signs in with. Do it in the console at "
    "/admin, or with `doorward users` on the server's own machine.",
)
INVITATION_SIGNS_NO_ADMINISTRATOR_IN = Problem(
    403,
    "authorization_invalid",
    "Unauthorized request",
    "An invitation does not sign an administrator in. Sign in first, then open its link again.",
)
SIGN_UP_MODE_RESTRICTED = Problem(
    403, "sign_up_mode_restricted", "Sign-ups restricted", "New sign-ups are currently restricted."
)
SIGN_UP_RESTRICTED_WAITLIST = Problem(
    403,
    "sign_up_restricted_waitlist",
    "Sign-ups restricted with waitlist",
    "Sign-ups are currently unavailable. Join the waitlist, and you will be notified when access becomes available.",
)
NOT_ALLOWED_ACCESS = Problem(
    403, "not_allowed_access", "Access not allowed.", "You are not allowed to access this application."
)
USER_BANNED = Problem(
    403,
    "user_banned",
    "User banned",
    "You have been banned. If you think this was by mistake, please contact support.",
)
USER_LOCKED = Problem(
    403,
    "user_locked",
    "User locked",
    "Your account is locked. You will be able to try again in 1 hour. For more information, please contact support.",
)
SESSION_REVERIFICATION_REQUIRED = Problem(
    403,
    "session_reverification_required",
    "Reverification required",
    "You need to provide additional verification to perform this operation",
    meta={
        "reason": "reverification-error",
        "metadata": {"reverification": {"level": "first_factor", "after_minutes": 10}},
    },
)

# 409
LAST_ADMINISTRATOR = Problem(
    409,
    "last_administrator",
    "last administrator",
    "Nobody else who can sign in administers this server. Make somebody else an administrator first, in the console.",
)
WAITLIST_ENTRY_ALREADY_INVITED = Problem(
    409, "waitlist_entry_already_invited", "already invited", "This waitlist entry has already been invited."
)
WAITLIST_ENTRY_ALREADY_COMPLETED = Problem(
    409,
    "waitlist_entry_already_completed",
    "already completed",
    "The person of this waitlist entry has already signed up.",
)
WAITLIST_ENTRY_ALREADY_REJECTED = Problem(
    409,
    "waitlist_entry_already_rejected",
    "already rejected",
    "This waitlist entry has already been rejected.",
)

# 422
FORM_IDENTIFIER_NOT_FOUND = Problem(
    422, "form_identifier_not_found", "Couldn't find your account.", param="identifier"
)
FORM_IDENTIFIER_EXISTS = Problem(
    422, "form_identifier_exists", "That email address is taken. Please try another.", param="email_address"
)
FORM_PASSWORD_INCORRECT = Problem(
    422,
    "form_password_incorrect",
    "Password is incorrect. Try again, or use another method.",
    param="password",
)
FORM_PASSWORD_COMPROMISED = Problem(
    422,
    "form_password_compromised",
    "Others may know this password. Reset it with a code by e-mail.",
    param="password",
)
FORM_PASSWORD_OR_IDENTIFIER_INCORRECT = Problem(
    422,
    "form_password_or_identifier_incorrect",
    "Password is incorrect or identifier doesn't exist. Try again, or use another method.",
    param="password",
)
FORM_CODE_INCORRECT = Problem(422, "form_code_incorrect", "is incorrect", "Incorrect code", param="code")
FORM_PASSWORD_TOO_SHORT = Problem(
    422, "form_password_length_too_short", "Passwords must be 8 characters or more.", param="password"
)
FORM_PASSWORD_TOO_LONG = Problem(
    422, "form_password_length_too_long", "Passwords must be 256 characters or fewer.", param="password"
)
FORM_PASSWORD_NOT_STRONG = Problem(
    422,
    "form_password_not_strong_enough",
    "Given password is not strong enough.",
    "This password is among the first ones an attacker would try. Use a longer phrase of your own.",
    param="password",
    meta={
        "zxcvbn": {
            "suggestions": [
                {"code": "anotherWord", "message": "Add another word or two. Uncommon words are better."}
            ]
        }
    },
)
FORM_PASSWORD_MATCHES_IDENTIFIER = Problem(
    422,
    "form_password_matches_identifier",
    "Password must not be built from your email address.",
    param="password",
)
FORM_PASSWORD_MATCHES_CURRENT = Problem(
    422,
    "form_new_password_matches_current",
    "New password cannot be the same as the current one.",
    param="new_password",
)
FORM_PASSWORD_VALIDATION_FAILED = Problem(
    422,
    "form_password_validation_failed",
    "Incorrect password",
    "Invalid verification: the current password is not correct.",
    param="current_password",
)
FORM_DATA_MISSING = Problem(
    422, "form_data_missing", "Data missing", "An account of this instance needs an email address."
)
FORM_VERIFICATION_NEEDED = Problem(
    422, "form_verification_needed", "Verification needed", "Only a verified one can be the primary one."
)
FORM_PASSWORD_DIGEST_INVALID = Problem(
    422, "form_password_digest_invalid_code", "Password digest invalid", param="password_digest"
)
FORM_USERNAME_INVALID_LENGTH = Problem(
    422,
    "form_username_invalid_length",
    "Username has the wrong length",
    "A username has 4 to 64 characters.",
    param="username",
)
FORM_USERNAME_INVALID_CHARACTER = Problem(
    422,
    "form_username_invalid_character",
    "Username has a wrong character",
    "A username has letters of the Latin alphabet, digits, - and _ only.",
    param="username",
)
FORM_USERNAME_NEEDS_NON_NUMBER = Problem(
    422,
    "form_username_needs_non_number_char",
    "Username is a number",
    "A username needs a character that is no digit.",
    param="username",
)
INCORRECT_PASSWORD = Problem(
    422, "incorrect_password", "Incorrect password", "The password is not this account's.", param="password"
)

# 429
CODE_TOO_MANY_REQUESTS = Problem(
    429,
    "verification_code_too_many_requests",
    "Too many verification code requests. Please wait at least 30 seconds to receive your code before trying again.",
)

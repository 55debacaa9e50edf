"""The table of Clerk's errors: every code, status and sentence the Frontend API answers with.

    Refused                  raised by services; carries one or more `Problem`s of one status
      └ .errors: Problem     code, message, long_message, meta

The wire shape is `{"errors": [{message, long_message, code, meta}], "clerk_trace_id"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from doorward.identity.clients.service import ClientChange


class Problem(msgspec.Struct, frozen=True):
    """One row of the table, or one made from it by `at`."""

    status: int
    code: str
    message: str
    long_message: str | None = None
    param: str | None = None
    meta: Mapping[str, object] = {}

    @property
    def text(self) -> str:
        """The sentence for a person."""
        return self.long_message or self.message

    def at(self, param: str | None = None, /, *, long_message: str | None = None, **meta: object) -> Problem:
        """The same problem, said of one parameter or with more detail."""
        return msgspec.structs.replace(
            self,
            param=param or self.param,
            long_message=long_message or self.long_message,
            meta={**self.meta, **meta},
        )


class Refused(Exception):
    """A request that gets an error answer. `retry_after` is in seconds.

    `client` is set when the browser's client changed although the request was refused; its cookie still has to be set.
    """

    client: ClientChange | None = None

    def __init__(self, *errors: Problem, retry_after: int | None = None) -> None:
        if not errors:
            raise ValueError("a refusal names at least one problem")
        super().__init__(", ".join(error.code for error in errors))
        self.errors = errors
        self.status = errors[0].status
        self.retry_after = retry_after


# 400: the request cannot be done in this state
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
ORIGIN_INVALID = Problem(
    400,
    "origin_invalid",
    "Invalid HTTP Origin header",
    "The Request HTTP Origin header must be equal to or a subdomain of the requesting URL.",
)
ORIGIN_MISSING = Problem(
    400,
    "origin_missing",
    "Missing HTTP Origin header",
    "Browser requests that change state need an Origin header.",
)
REQUEST_BODY_INVALID = Problem(
    400,
    "request_body_invalid",
    "Request body invalid",
    "The request body could not be read. Check its encoding.",
)
REQUEST_INVALID = Problem(
    400, "request_invalid", "Request invalid", "The address of the request holds a NUL character."
)
NATIVE_API_DISABLED = Problem(
    400,
    "native_api_disabled",
    "Native API disabled",
    "The Native API is disabled for this instance. Visit the Clerk Dashboard to enable it.",
)
API_VERSION_INVALID = Problem(
    400, "api_version_invalid", "API version invalid", "The API version must be a date."
)
ALREADY_A_MEMBER = Problem(
    400,
    "already_a_member_in_organization",
    "already a member",
    "This user is already a member of the organization.",
)
ORGANIZATION_CREATOR_NOT_FOUND = Problem(
    400, "organization_creator_not_found", "creator not found", "The user named as creator does not exist."
)
ORGANIZATION_MINIMUM_PERMISSIONS_NEEDED = Problem(
    400,
    "organization_minimum_permissions_needed",
    "minimum permissions needed",
    "Somebody must remain who can manage the organization's members and delete it.",
)
DUPLICATE_RECORD = Problem(400, "duplicate_record", "duplicate record", "This already exists.")
INVITATION_ALREADY_REVOKED = Problem(
    400, "invitation_already_revoked", "already revoked", "This invitation has already been revoked."
)
TEMPLATE_RESERVED_CLAIM = Problem(
    400, "jwt_template_reserved_claim", "Reserved claim", "A template cannot set this claim."
)
SVIX_APP_MISSING = Problem(400, "svix_app_missing", "No webhooks", "There is no webhook endpoint.")
WEBHOOK_DELIVERY_PENDING = Problem(
    400,
    "webhook_delivery_pending",
    "Delivery pending",
    "The delivery is still on its way; it need not be replayed.",
)
WEBHOOK_ENDPOINT_DISABLED = Problem(
    400,
    "webhook_endpoint_disabled",
    "Endpoint disabled",
    "The webhook endpoint is disabled. Enable it first.",
)
WEBHOOK_LIMIT_REACHED = Problem(400, "webhook_limit_reached", "Limit reached")
MACHINE_TOKEN_RESERVED_CLAIM = Problem(
    400, "machine_token_reserved_claim", "Reserved claim", "A token of a machine cannot set this claim."
)
BAD_REQUEST = Problem(400, "bad_request", "Bad Request")
REQUEST_INVALID_FOR_ENVIRONMENT = Problem(
    400,
    "request_invalid_for_environment",
    "Request invalid for this environment",
    "Only a development instance offers this.",
)
BULK_SIZE_EXCEEDED = Problem(
    400, "bulk_size_exceeded", "Too many at once", "Fewer of these can be changed in one request."
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
ACTOR_TOKEN_NOT_REVOCABLE = Problem(
    400,
    "actor_token_cannot_be_revoked_code",
    "Actor token cannot be revoked",
    "Only a pending actor token can be revoked.",
)
IMAGE_MISSING = Problem(
    400, "form_param_missing", "is missing", "The form needs a part named file.", param="file"
)
IMAGE_INVALID = Problem(
    400, "request_body_invalid", "Image invalid", "The file is no JPEG, PNG, GIF or WebP image.", param="file"
)

# 401
AUTHENTICATION_INVALID = Problem(
    401,
    "authentication_invalid",
    "Invalid authentication",
    "Unable to authenticate the request, you need to supply an active session",
)
SIGNED_OUT = Problem(401, "signed_out", "Signed out", "You are signed out")
OAUTH_FETCH_USER_ERROR = Problem(
    401,
    "oauth_fetch_user_error",
    "Unable to fetch user info",
    "Unable to fetch user info. Check if access token is present and valid.",
)

CLERK_KEY_INVALID = Problem(
    401,
    "clerk_key_invalid",
    "The provided Clerk Secret Key is invalid.",
    "The provided secret key is unknown or was revoked. Make sure it belongs to this instance.",
)
AUTHORIZATION_HEADER_FORMAT_INVALID = Problem(
    401,
    "authorization_header_format_invalid",
    "Invalid Authorization header format",
    "The Authorization header must be of the form: Bearer <secret key>.",
)
MACHINE_SECRET_KEY_INVALID = Problem(
    401,
    "machine_secret_key_invalid",
    "The provided Machine Secret Key is invalid.",
    "The provided machine secret key is unknown or was replaced. Make sure it is a machine's own key.",
)
REFRESH_SID_MISMATCH = Problem(
    401, "refresh_sid_mismatch", "Session mismatch", "The expired token is of another session."
)
REFRESH_EXPIRED_TOKEN_INVALID = Problem(
    401, "expired_session_token_invalid", "Token invalid", "The expired token is none of this instance."
)
REFRESH_TOKEN_NOT_FOUND = Problem(
    401, "refresh_token_not_found", "Refresh token not found", "No refresh token like this was given out."
)

# 403
FEATURE_NOT_IMPLEMENTED = Problem(
    403, "feature_not_implemented", "not implemented", "Doorward does not offer this feature."
)
AUTHORIZATION_INVALID = Problem(
    403, "authorization_invalid", "Unauthorized request", "You are not authorized to perform this request"
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
ORGANIZATION_NOT_ENABLED = Problem(
    403,
    "organization_not_enabled_in_instance",
    "Organizations are not enabled",
    "This instance has no organizations. Enable them with PATCH /instance/organization_settings.",
)
ORGANIZATION_SLUGS_DISABLED = Problem(
    403,
    "organization_slugs_disabled",
    "Slugs are disabled",
    "Organizations of this instance choose no slugs.",
)
ORGANIZATION_MEMBERSHIP_QUOTA_EXCEEDED = Problem(
    403,
    "organization_membership_quota_exceeded",
    "Membership quota exceeded",
    "The organization has as many members as it may have.",
)
ORGANIZATION_SYSTEM_PERMISSION_NOT_MODIFIABLE = Problem(
    403,
    "organization_system_permission_not_modifiable",
    "System permission",
    "System permissions cannot be changed or deleted.",
)
NOT_A_MEMBER = Problem(
    403, "not_a_member_in_organization", "Not a member", "This user is not a member of the organization."
)
MISSING_ORGANIZATION_PERMISSION = Problem(
    403,
    "missing_organization_permission",
    "Missing permission",
    "This user may not manage the organization's members.",
)
NOT_ALLOWED_ACCESS = Problem(
    403, "not_allowed_access", "Access not allowed.", "You are not allowed to access this application."
)
OPERATION_NOT_ALLOWED_ON_PRIMARY_DOMAIN = Problem(
    403,
    "operation_not_allowed_on_primary_domain",
    "Not allowed on the primary domain",
    "The primary domain is set in the configuration and cannot be changed or deleted here.",
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
CSRF_TOKEN_INVALID = Problem(
    403,
    "csrf_token_invalid",
    "Request forged",
    "This request did not come from this site's own pages. Try again.",
)

# 404
ORGANIZATION_INVITATION_NOT_PENDING = Problem(
    404, "organization_invitation_not_pending", "not pending", "This invitation is not pending any more."
)
ORGANIZATION_NOT_FOUND_OR_UNAUTHORIZED = Problem(
    404,
    "organization_not_found_or_unauthorized",
    "not found",
    "There is no such organization, or the user is not a member of it.",
)
ORGANIZATION_ROLE_PERMISSION_NOT_FOUND = Problem(
    404,
    "organization_role_permission_association_not_found",
    "not assigned",
    "The role does not have this permission.",
)
RESOURCE_NOT_FOUND = Problem(404, "resource_not_found", "not found", "The resource was not found.")
MACHINE_NOT_FOUND = Problem(
    404, "machine_not_found", "Machine not found", "No machine of this instance has this id."
)

# 405, 409, 413, 415
METHOD_NOT_ALLOWED = Problem(405, "method_not_allowed", "Method not allowed")
CONFLICT = Problem(409, "conflict", "Conflict")
ORGANIZATION_ROLE_PERMISSION_EXISTS = Problem(
    409,
    "organization_role_permission_association_exists",
    "already assigned",
    "The role has this permission already.",
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
REQUEST_BODY_TOO_LARGE = Problem(413, "request_body_too_large", "Request body too large")
IMAGE_TOO_LARGE = Problem(
    413, "image_too_large", "Image too large", "An image has at most 10 MB.", param="file"
)
UNSUPPORTED_CONTENT_TYPE = Problem(415, "unsupported_content_type", "Content-Type is unsupported")

# 422: a parameter is wrong
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
FORM_PARAM_MISSING = Problem(422, "form_param_missing", "is missing")
FORM_PARAM_NIL = Problem(422, "form_param_nil", "Enter a value.")
FORM_PARAM_UNKNOWN = Problem(422, "form_param_unknown", "is unknown")
FORM_PARAM_TYPE_INVALID = Problem(422, "form_param_type_invalid", "has an invalid type")
FORM_PARAM_FORMAT_INVALID = Problem(422, "form_param_format_invalid", "is invalid")
FORM_PARAM_VALUE_INVALID = Problem(422, "form_param_value_invalid", "is invalid")
FORM_PARAM_ARRAY_SIZE_EXCEEDED = Problem(422, "form_param_array_size_exceeded", "has too many entries")
ORGANIZATION_ROLE_ASSIGNED_MEMBERS = Problem(
    422, "organization_role_assigned_members", "role in use", "Members still have this role."
)
ORGANIZATION_ROLE_DEFAULT_CREATOR_ROLE = Problem(
    422,
    "organization_role_default_creator_role",
    "default role",
    "The instance gives this role by default; choose another default first.",
)
ORGANIZATION_MISSING_CREATOR_ROLE_PERMISSIONS = Problem(
    422,
    "organization_missing_creator_role_permissions",
    "missing permissions",
    "The creator's role must read and manage members and delete the organization.",
)
FORM_INVALID_ORIGIN = Problem(422, "form_invalid_origin", "is not an origin")
FORM_ALREADY_EXISTS = Problem(422, "form_already_exists", "already exists")
FORM_RESOURCE_NOT_FOUND = Problem(422, "form_resource_not_found", "does not exist")
PRIMARY_DOMAIN_ALREADY_EXISTS = Problem(
    422,
    "primary_domain_already_exists",
    "Primary domain exists",
    "The instance already has a primary domain.",
)
FORM_PARAM_MAX_LENGTH = Problem(422, "form_param_max_length_exceeded", "exceeds maximum length")
FORM_PARAM_EXCEEDS_ALLOWED_SIZE = Problem(422, "form_param_exceeds_allowed_size", "is too large")
FORM_CONDITIONAL_PARAM_MISSING = Problem(422, "form_conditional_param_missing", "is missing")
FORM_CONDITIONAL_PARAM_DISALLOWED = Problem(422, "form_conditional_param_disallowed", "isn't allowed")
FORM_PUBLIC_CLIENT_REQUIRES_PKCE = Problem(
    422,
    "form_public_client_requires_pkce",
    "public clients require PKCE",
    "A public OAuth application cannot do without PKCE: it has no secret to prove itself by.",
    param="pkce_required",
)
FORM_PARAM_ARRAY_LENGTH_MISMATCH = Problem(
    422, "form_param_array_length_mismatch", "Arrays differ in length", "Both arrays need the same length."
)
FORM_PARAM_INVALID_TIME = Problem(
    422, "form_param_invalid_time", "is no time", "Times are written as RFC 3339 says."
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

# 429, 5xx
TOO_MANY_REQUESTS = Problem(429, "too_many_requests", "Too many requests", "Too many requests, retry later")
CODE_TOO_MANY_REQUESTS = Problem(
    429,
    "verification_code_too_many_requests",
    "Too many verification code requests. Please wait at least 30 seconds to receive your code before trying again.",
)
INTERNAL_ERROR = Problem(500, "internal_clerk_error", "Oops, an unexpected error occurred")
OVERLOADED = Problem(
    503,
    "service_overloaded",
    "Service busy",
    "Too many people are signing in at this moment. Try again shortly.",
)


def missing(param: str) -> Problem:
    return FORM_PARAM_MISSING.at(param, long_message=f"{param} must be included.")


def not_found(sentence: str) -> Problem:
    return RESOURCE_NOT_FOUND.at(long_message=sentence)

"""What can be wrong with any request: its shape, its parameters, its origin, its pace."""

from __future__ import annotations

from doorward.identity.errors.problem import Problem

# 400
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
REQUEST_INVALID = Problem(400, "request_invalid", "Request invalid", "The request holds a NUL character.")
NATIVE_API_DISABLED = Problem(
    400,
    "native_api_disabled",
    "Native API disabled",
    "The Native API is disabled for this instance. Visit the Clerk Dashboard to enable it.",
)
API_VERSION_INVALID = Problem(
    400, "api_version_invalid", "API version invalid", "The API version must be a date."
)
DUPLICATE_RECORD = Problem(400, "duplicate_record", "duplicate record", "This already exists.")
BAD_REQUEST = Problem(400, "bad_request", "Bad Request")
REQUEST_INVALID_FOR_ENVIRONMENT = Problem(
    400,
    "request_invalid_for_environment",
    "Request invalid for this environment",
    "Only a development instance offers this.",
)
IMAGE_MISSING = Problem(
    400, "form_param_missing", "is missing", "The form needs a part named file.", param="file"
)
IMAGE_INVALID = Problem(
    400, "request_body_invalid", "Image invalid", "The file is no JPEG, PNG, GIF or WebP image.", param="file"
)

# 401
AUTHORIZATION_HEADER_FORMAT_INVALID = Problem(
    401,
    "authorization_header_format_invalid",
    "Invalid Authorization header format",
    "The Authorization header must be of the form: Bearer <secret key>.",
)

# 403
FEATURE_NOT_IMPLEMENTED = Problem(
    403, "feature_not_implemented", "not implemented", "Doorward does not offer this feature."
)
CSRF_TOKEN_INVALID = Problem(
    403,
    "csrf_token_invalid",
    "Request forged",
    "This request did not come from this site's own pages. Try again.",
)

# 404
RESOURCE_NOT_FOUND = Problem(404, "resource_not_found", "not found", "The resource was not found.")

# 405
METHOD_NOT_ALLOWED = Problem(405, "method_not_allowed", "Method not allowed")

# 409
CONFLICT = Problem(409, "conflict", "Conflict")

# 413
REQUEST_BODY_TOO_LARGE = Problem(413, "request_body_too_large", "Request body too large")
IMAGE_TOO_LARGE = Problem(
    413, "image_too_large", "Image too large", "An image has at most 10 MB.", param="file"
)

# 415
UNSUPPORTED_CONTENT_TYPE = Problem(415, "unsupported_content_type", "Content-Type is unsupported")

# 422
FORM_PARAM_MISSING = Problem(422, "form_param_missing", "is missing")
FORM_PARAM_NIL = Problem(422, "form_param_nil", "Enter a value.")
FORM_PARAM_UNKNOWN = Problem(422, "form_param_unknown", "is unknown")
FORM_PARAM_TYPE_INVALID = Problem(422, "form_param_type_invalid", "has an invalid type")
FORM_PARAM_FORMAT_INVALID = Problem(422, "form_param_format_invalid", "is invalid")
FORM_PARAM_VALUE_INVALID = Problem(422, "form_param_value_invalid", "is invalid")
FORM_PARAM_ARRAY_SIZE_EXCEEDED = Problem(422, "form_param_array_size_exceeded", "has too many entries")
FORM_INVALID_ORIGIN = Problem(422, "form_invalid_origin", "is not an origin")
FORM_ALREADY_EXISTS = Problem(422, "form_already_exists", "already exists")
FORM_RESOURCE_NOT_FOUND = Problem(422, "form_resource_not_found", "does not exist")
FORM_PARAM_MAX_LENGTH = Problem(422, "form_param_max_length_exceeded", "exceeds maximum length")
FORM_PARAM_EXCEEDS_ALLOWED_SIZE = Problem(422, "form_param_exceeds_allowed_size", "is too large")
FORM_CONDITIONAL_PARAM_MISSING = Problem(422, "form_conditional_param_missing", "is missing")
FORM_CONDITIONAL_PARAM_DISALLOWED = Problem(422, "form_conditional_param_disallowed", "isn't allowed")
FORM_PARAM_ARRAY_LENGTH_MISMATCH = Problem(
    422, "form_param_array_length_mismatch", "Arrays differ in length", "Both arrays need the same length."
)
FORM_PARAM_INVALID_TIME = Problem(
    422, "form_param_invalid_time", "is no time", "Times are written as RFC 3339 says."
)

# 429
TOO_MANY_REQUESTS = Problem(429, "too_many_requests", "Too many requests", "Too many requests, retry later")

# 500
INTERNAL_ERROR = Problem(500, "internal_clerk_error", "Oops, an unexpected error occurred")

# 503
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

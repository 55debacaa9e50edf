"""Refusals about what programs use: keys, machines, templates, OAuth applications, domains, webhooks."""

from __future__ import annotations

from doorward.identity.errors.problem import Problem

# 400
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
SESSION_TOKEN_JWT_TEMPLATE = Problem(
    403,
    "session_token_jwt_template",
    "Template of session tokens",
    "This template customises the session token. It keeps its name and its place; empty its claims instead.",
)
MACHINE_TOKEN_RESERVED_CLAIM = Problem(
    400, "machine_token_reserved_claim", "Reserved claim", "A token of a machine cannot set this claim."
)

# 401
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
MACHINE_SECRET_KEY_INVALID = Problem(
    401,
    "machine_secret_key_invalid",
    "The provided Machine Secret Key is invalid.",
    "The provided machine secret key is unknown or was replaced. Make sure it is a machine's own key.",
)

# 403
OPERATION_NOT_ALLOWED_ON_PRIMARY_DOMAIN = Problem(
    403,
    "operation_not_allowed_on_primary_domain",
    "Not allowed on the primary domain",
    "The primary domain is set in the configuration and cannot be changed or deleted here.",
)

# 404
MACHINE_NOT_FOUND = Problem(
    404, "machine_not_found", "Machine not found", "No machine of this instance has this id."
)

# 422
PRIMARY_DOMAIN_ALREADY_EXISTS = Problem(
    422,
    "primary_domain_already_exists",
    "Primary domain exists",
    "The instance already has a primary domain.",
)
DYNAMIC_REGISTRATION_OFF = Problem(
    422,
    "feature_requires_dynamic_oauth_client_registration",
    "Dynamic client registration is off",
    "Applications do not register themselves here: an administrator makes them.",
)
FORM_PUBLIC_CLIENT_REQUIRES_PKCE = Problem(
    422,
    "form_public_client_requires_pkce",
    "public clients require PKCE",
    "A public OAuth application cannot do without PKCE: it has no secret to prove itself by.",
    param="pkce_required",
)

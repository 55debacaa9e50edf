"""What Clerk's Backend API has and this one does not offer, by the beginnings of paths below `/v1`.

Its back ends hear 403 `feature_not_implemented` and not 404, which would say that the thing they named is missing; never
501 or another 5xx, which Clerk's Python SDK repeats for an hour. The OpenAPI document tells of none of it.
"""

from __future__ import annotations

import re

_ONE = r"/[^/]+"
_NOT_OFFERED = re.compile(
    "|".join(
        (
            # money
            "/billing/",
            f"/(?:users|organizations){_ONE}/billing/",
            # identity providers of others, and who they send
            "/saml_connections",
            "/enterprise_connections",
            "/scim_directories",
            "/directories",
            "/admin_portal_link_tokens",
            "/proxy_checks",
            # the texts of mails and messages, and sending them
            "/templates/",
            "/email$",
            "/sms_messages$",
            # an instance that has no account yet, and settings that are not settled
            "/accountless_applications",
            "/beta_features/",
            "/instance/(?:protect|communication|oauth_application_settings)$",
            # whatever else there is one kind of here
            "/role_sets",
            "/agents/tasks",
            f"/users{_ONE}/(?:passkeys|web3_wallets|external_accounts|trusted_devices)(?:/|$)",
        )
    )
)


def is_not_offered(path: str) -> bool:
    """`path` begins behind `/v1`."""
    return _NOT_OFFERED.match(path) is not None

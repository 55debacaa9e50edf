"""What Clerk's Backend API has and ours does not is said to be so: 403 or 404 in Clerk's shape, never a fault."""

from __future__ import annotations

import re

import pytest

from doorward.identity.backend_api.catalogue import OPERATIONS
from doorward.identity.backend_api.not_offered import is_not_offered
from tests.identity_backend_api.conftest import Backend

pytestmark = pytest.mark.anyio

#: Every path of Clerk's that is none of ours, by what it is about; `x` stands for an identifier.
NOT_OFFERED = """
GET,PUT /templates/email/x; GET /templates/sms; POST /templates/email/x/revert; POST /templates/email/x/preview
POST /templates/sms/x/toggle_delivery; PATCH /beta_features/instance_settings; PUT /beta_features/domain
POST /beta_features/change_domain; POST /proxy_checks
GET,POST /saml_connections; GET,PATCH,DELETE /saml_connections/x
GET,POST /enterprise_connections; GET,PATCH,DELETE /enterprise_connections/x
GET,POST /enterprise_connections/x/test_runs; POST /agents/tasks; POST /agents/tasks/x/revoke
GET /billing/plans; GET,POST /billing/prices; GET /billing/subscription_items; DELETE /billing/subscription_items/x
POST /billing/subscription_items/x/extend_free_trial; POST /billing/subscription_items/x/price_transition
POST /billing/subscription_items/x/discounts; DELETE /billing/subscription_items/x/discounts/y
GET /billing/statements; GET /billing/statements/x; GET /billing/statements/x/payment_attempts
GET /users/x/billing/subscription; GET,POST /users/x/billing/credits
GET /organizations/x/billing/subscription; GET,POST /organizations/x/billing/credits
GET,POST /role_sets; GET,PATCH /role_sets/x; POST /role_sets/x/replace; POST /role_sets/x/roles
POST /role_sets/x/roles/replace
GET,POST /scim_directories; GET,PATCH,DELETE /scim_directories/x; POST /scim_directories/x/rotate_api_key
GET,POST,PUT /scim_directories/x/group_role_mappings; DELETE /scim_directories/x/group_role_mappings/y
GET,POST /directories; GET,PATCH,DELETE /directories/x; POST /directories/x/rotate_api_key
GET,POST,PUT /directories/x/group_role_mappings; DELETE /directories/x/group_role_mappings/y
POST /admin_portal_link_tokens; POST /admin_portal_link_tokens/x/revoke
POST /accountless_applications; POST /accountless_applications/complete; POST /email; POST /sms_messages
GET,PATCH /instance/protect; GET,PATCH /instance/communication; GET,PATCH /instance/oauth_application_settings
DELETE /users/x/passkeys/y; DELETE /users/x/web3_wallets/y; DELETE /users/x/external_accounts/y
GET /users/x/trusted_devices; DELETE /users/x/trusted_devices/y
"""
#: Clerk's as well, but about things that are not there: no sign-up is kept for back ends, no page is served to browsers.
NOT_FOUND = """
GET /public/interstitial; GET,PATCH /sign_ups/x; GET /clients/handshake_payload
"""


def asked(lines: str) -> list[tuple[str, str]]:
    """`GET,PUT /a; POST /b`, one by one."""
    entries = [entry.split() for entry in re.split(r"[;\n]", lines) if entry.strip()]
    return [(method, path) for methods, path in entries for method in methods.split(",")]


@pytest.mark.conformance("clerk-backend-traps", 13)
@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [(NOT_OFFERED, 403, "feature_not_implemented"), (NOT_FOUND, 404, "resource_not_found")],
)
async def test_what_is_not_offered_is_said_to_be_so_and_never_a_fault(
    backend: Backend, lines: str, status: int, code: str
) -> None:
    for method, path in asked(lines):
        await backend.refused(method, path, status, code, json={})


def test_nothing_that_is_offered_is_said_not_to_be() -> None:
    assert not [operation.path for operation in OPERATIONS if is_not_offered(operation.path)]

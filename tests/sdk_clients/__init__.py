"""The published SDKs as they come from their registries, run unmodified against `doorward up` (`docs/clerk-sdks.md`).

`package.json` pins the JavaScript ones; `installed.javascript_sdks()` installs them when a test first asks. What is asked
of an SDK stands in conversations (`javascript_people`, …) that speak of one subject each.
"""

import pytest

pytest.register_assert_rewrite(
    "tests.sdk_clients.seen",
    "tests.sdk_clients.visitor",
    "tests.sdk_clients.javascript",
    "tests.sdk_clients.javascript_people",
    "tests.sdk_clients.javascript_organizations",
    "tests.sdk_clients.javascript_machines",
    "tests.sdk_clients.javascript_instance",
    "tests.sdk_clients.python_sdk",
    "tests.sdk_clients.python_people",
    "tests.sdk_clients.python_organizations",
    "tests.sdk_clients.python_instance",
)

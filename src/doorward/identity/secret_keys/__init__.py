"""The instance's secret keys (`sk_live_…`, `sk_test_…`): who holds one may do everything the Backend API offers.

A key is shown once, when it is made; kept is its keyed hash. Mounts nothing; `backend_api` asks who a key belongs to.
"""

from doorward.identity.secret_keys.service import MadeKey, SecretKeys
from doorward.identity.secret_keys.store import SecretKey

__all__ = ["MadeKey", "SecretKey", "SecretKeys"]

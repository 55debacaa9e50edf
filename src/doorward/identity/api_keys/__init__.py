"""API keys (`ak_…`): bearers that an application's own users and organizations make for scripts.

Owns `identity_api_keys`. A key speaks for its subject, a user, an organization or a machine, for as long as that exists
and is not banned: every check looks. Its secret can be read again, as Clerk's wire demands, and so is sealed with the
key-encryption key beside the keyed hash that finds it. Mounts nothing: `backend_api/api_keys.py` has the routes.
"""

from doorward.identity.api_keys.service import APIKeys, KeyChange, KeyWish, MadeKey
from doorward.identity.api_keys.store import APIKey

__all__ = ["APIKey", "APIKeys", "KeyChange", "KeyWish", "MadeKey"]

"""Redirect URLs that applications registered, to the letter.

Owns `identity_redirect_urls`. A native application may only be sent back to one of them.
"""

from doorward.identity.redirect_urls.service import RedirectUrls
from doorward.identity.redirect_urls.store import RedirectUrl

__all__ = ["RedirectUrl", "RedirectUrls"]

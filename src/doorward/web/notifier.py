"""The service worker behind "Notify me on this browser": a room serves it beside the page that offers it.

A page at `/x` serves it at `/x/notifier.js`, and is answered with `worker_policy=WORKER_POLICY`. The script is the same for
everybody and holds nothing of anybody.
"""

from functools import cache
from importlib import resources

from starlette.responses import Response

WORKER_POLICY = "doorward-notifier"
"""The one trusted-types policy of such a page; notify.js makes it, for one URL."""


@cache
def _script() -> bytes:
    return (resources.files("doorward.web") / "workers" / "notifier.js").read_bytes()


def notifier() -> Response:
    """Browsers ask for it again whenever they look for a newer one, so it is not kept."""
    headers = {
        "cache-control": "no-cache",
        "content-security-policy": "default-src 'none'",
        "cross-origin-resource-policy": "same-origin",
        "x-content-type-options": "nosniff",
    }
    return Response(_script(), 200, headers, "text/javascript; charset=utf-8")

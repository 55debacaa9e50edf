"""The headers every page carries."""

from collections.abc import Iterable


def security_headers(
    nonce: str,
    *,
    connect: Iterable[str] = (),
    form_action: Iterable[str] = (),
    worker_policy: str | None = None,
) -> dict[str, str]:
    """Headers for one HTML answer whose scripts and styles carry `nonce`.

    `connect` and `form_action` are further origins the page may talk to or submit to. Chromium applies
    `form-action` to the redirects after a submission too, so a form that ends at another origin has to name it.
    `worker_policy` lets the page register a service worker of its own origin: the name of the one trusted-types
    policy by which its module may name the script.

    Referrer-Policy is `same-origin` and not `no-referrer`: under the latter browsers send `Origin: null` with
    our own forms, and the same-origin check would have nothing to go by.
    """
    policy = [
        "default-src 'none'",
        f"script-src 'nonce-{nonce}'",
        f"style-src 'nonce-{nonce}'",
        "img-src 'self'",
        " ".join(["connect-src 'self'", *connect]),
        " ".join(["form-action 'self'", *form_action]),
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'" if worker_policy is None else f"trusted-types {worker_policy}",
        "worker-src 'none'" if worker_policy is None else "worker-src 'self'",
    ]
    return {
        "content-security-policy": "; ".join(policy),
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
    }

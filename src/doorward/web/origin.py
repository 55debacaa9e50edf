"""The one check that a form was sent by a page of ours."""

from collections.abc import Mapping


class CrossSiteError(Exception):
    """A request that changes something did not come from a page of the same origin."""


def require_same_origin(headers: Mapping[str, str], origin: str) -> None:
    """Raise `CrossSiteError` unless the browser says that this request came from `origin`.

    Every browser sends `Origin` with a POST and current ones send `Sec-Fetch-Site`. Whatever is there has to
    agree, and something has to be there: a request that says nothing of where it came from is refused, for
    cookies of `SameSite=Lax` still travel from sibling hosts, which are the same *site*.
    """
    site = headers.get("sec-fetch-site")
    sent = headers.get("origin")
    if site is None and sent is None:
        raise CrossSiteError
    if site is not None and site != "same-origin":
        raise CrossSiteError
    if sent is not None and sent != origin:
        raise CrossSiteError

"""The one check of where a page may send a person next."""

from urllib.parse import urlsplit


def own_path(target: str | None, origin: str) -> str | None:
    """`target` as a path of ours, or None if it leads anywhere else.

    Browsers read `//host`, `/\\host` and paths with line breaks or tabs in them as other hosts, so anything that is
    not plainly a path (or our own origin and a path) is refused.
    """
    if not target or any(character <= " " or character in "\\\x7f" for character in target):
        return None
    path = target.removeprefix(origin) if target.startswith(f"{origin}/") else target
    if not path.startswith("/") or path.startswith("//"):
        return None
    try:
        parts = urlsplit(path)
    except ValueError:
        return None
    return None if parts.scheme or parts.netloc else path


def may_leave(path: str) -> bool:
    """Whether `path` may answer with a redirect to another origin: authorizing an application ends at its host."""
    return urlsplit(path).path.startswith("/oauth/")

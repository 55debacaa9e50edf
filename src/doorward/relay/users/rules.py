"""What an OAuth access token may be used for here. Pure."""

from doorward.verify import AccessToken

MAX_SUBJECT_AGE_S = 15 * 60
"""How old an access token may be when a device connects with it.

It lives a day and nobody can call it back: without this bound, who was signed out or banned would go on connecting
until it ends. A fresh one means that the accounts server agreed a moment ago.
"""


def audiences(token: AccessToken) -> tuple[str, ...]:
    """The token's audiences; a token without `aud` has none."""
    listed = token.claims.get("aud")
    if isinstance(listed, str):
        return (listed,)
    if isinstance(listed, list):
        return tuple(entry for entry in listed if isinstance(entry, str))
    return ()


def is_for_relay(token: AccessToken, issuer: str) -> bool:
    """Whether a token was meant for us: without audience (any service of the account), or with ours.

    A token for some other service, which that service could replay here, is refused.
    """
    return "aud" not in token.claims or issuer in audiences(token)


def is_recent(token: AccessToken, *, now: int) -> bool:
    """Whether the accounts server issued it in the last quarter of an hour; `now` in seconds."""
    issued_at = token.claims.get("iat")
    return isinstance(issued_at, int) and now - issued_at <= MAX_SUBJECT_AGE_S

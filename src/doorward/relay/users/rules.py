"""What an OAuth access token may be used for here. Pure."""

from doorward.verify import AccessToken


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

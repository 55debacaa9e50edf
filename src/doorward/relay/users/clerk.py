"""Opaque OAuth access tokens of Clerk's cloud: its Backend API says whose they are, each time anew."""

import logging

import msgspec

from doorward.outbound import Outbound, OutboundError, UnexpectedBody
from doorward.relay.settings import ClerkCloud
from doorward.verify import AccessToken, KeySetUnavailable

logger = logging.getLogger("doorward.relay")

PREFIX = "oat_"
_VERIFY_PATH = "/v1/oauth_applications/access_tokens/verify"
_TIMEOUT_SECONDS = 5.0
#: What the API answers about a token, rather than about us or itself.
_TOKEN_REFUSED = frozenset((400, 404, 422))


class _Question(msgspec.Struct):
    access_token: str


class _Answer(msgspec.Struct):
    """`{"active": false}` is an answer too: every member may be absent, and then nobody is named."""

    subject: str = ""
    client_id: str = ""
    scopes: list[str] = []
    revoked: bool = False
    expired: bool = False
    active: bool = True


async def verify_opaque_token(token: str, clerk: ClerkCloud, *, outbound: Outbound) -> AccessToken | None:
    """Whose token it is, `None` when it is nobody's (any more). Raises KeySetUnavailable when the API does not tell."""
    try:
        response = await outbound.json(
            clerk.api_url + _VERIFY_PATH,
            _Question(token),
            headers={"authorization": f"Bearer {clerk.secret_key}", "accept": "application/json"},
            timeout=_TIMEOUT_SECONDS,
        )
        if response.status in _TOKEN_REFUSED:
            return None
        if response.status != 200:
            # 401 means our own secret key: nobody could sign in again, so it is not the token's fault.
            logger.error(
                "The Backend API at %s answered %d to a token check.", clerk.api_url, response.status
            )
            raise KeySetUnavailable(f"status {response.status}")
        answer = response.json(_Answer)
    except UnexpectedBody as error:
        raise KeySetUnavailable("an answer of another shape") from error
    except OutboundError as error:
        logger.warning("The Backend API at %s cannot be asked: %s", clerk.api_url, error)
        raise KeySetUnavailable(str(error)) from error
    if answer.revoked or answer.expired or not answer.active:
        return None
    return AccessToken(
        user_id=answer.subject,
        client_id=answer.client_id,
        scopes=tuple(answer.scopes),
        thumbprint=None,
        claims={"sub": answer.subject, "client_id": answer.client_id},
    )

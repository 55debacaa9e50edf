"""Undoing a link on both sides: here first, then at the relay (connect-environment §5.3)."""

import logging
from typing import Literal
from urllib.parse import quote

import msgspec

from doorward.outbound import Outbound, OutboundError

log = logging.getLogger(__name__)

_OPERATION = {"operation": "relay-environment-unlink"}

RelayOutcome = Literal["revoked", "failed", "not_linked", "not_authenticated"]


class _Answer(msgspec.Struct):
    ok: bool


async def revoke_at_relay(
    outbound: Outbound, *, relay: str, bearer: str, environment_id: str
) -> RelayOutcome:
    """Delete the relay's record of this machine. Never raises: the local side is undone already."""
    url = f"{relay}/v1/client/environment-links/{quote(environment_id, safe='')}"
    try:
        response = await outbound.request("DELETE", url, headers={"authorization": f"Bearer {bearer}"})
        if response.status != 200:
            log.warning("the relay answered %d to unlinking", response.status, extra=_OPERATION)
            return "failed"
        return "revoked" if response.json(_Answer).ok else "not_linked"
    except OutboundError as error:
        log.warning("the relay could not be told of unlinking: %s", error, extra=_OPERATION)
        return "failed"

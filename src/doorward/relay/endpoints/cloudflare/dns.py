"""One CNAME record per endpoint: made, found again, or mended."""

import asyncio

from doorward.relay.endpoints.cloudflare.api import CloudflareApi, CloudflareError, DnsRecord

VISIBLE_AFTER_S = 0.2
LOOKS = 5


async def ensure_record(api: CloudflareApi, *, hostname: str, tunnel_id: str, known_id: str | None) -> str:
    """The id of the one record that leads `hostname` to the tunnel. `known_id`: the one made last time, if any.

    Raises `CloudflareError`.
    """
    if known_id is not None:
        try:
            return (await api.update_record(known_id, hostname, tunnel_id)).id
        except CloudflareError as error:
            if not error.is_not_found:
                raise
    found = await api.find_records(hostname)
    if found:
        return await _keep_one(api, found, hostname, tunnel_id)
    try:
        return (await api.create_record(hostname, tunnel_id)).id
    except CloudflareError as failure:
        return await _adopt(api, hostname, tunnel_id, failure)


async def _keep_one(api: CloudflareApi, found: list[DnsRecord], hostname: str, tunnel_id: str) -> str:
    """Two records of one name would send every other visitor astray."""
    kept, *others = found
    for record in others:
        await api.delete_record(record.id)
    return (await api.update_record(kept.id, hostname, tunnel_id)).id


async def _adopt(api: CloudflareApi, hostname: str, tunnel_id: str, failure: CloudflareError) -> str:
    """A creation that was told as failed may have happened: the record shows after a moment."""
    for look in range(LOOKS):
        if look:
            await asyncio.sleep(VISIBLE_AFTER_S)
        found = await api.find_records(hostname)
        if found:
            return await _keep_one(api, found, hostname, tunnel_id)
    raise failure

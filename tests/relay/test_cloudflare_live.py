"""The same provider against Cloudflare itself, with an account of yours:

DOORWARD_CLOUDFLARE_API_TOKEN=… DOORWARD_CLOUDFLARE_ACCOUNT_ID=… DOORWARD_CLOUDFLARE_ZONE_ID=… \\
DOORWARD_CLOUDFLARE_ZONE=example-machines.net make test ARGS="tests/relay/test_cloudflare_live.py -n 0"

Makes one tunnel and one record of a random name, and removes both, also when it fails.
"""

import os
import secrets
import uuid
from collections.abc import AsyncIterator

import pytest

from doorward.outbound import Outbound
from doorward.relay.endpoints.cloudflare.api import CloudflareApi
from doorward.relay.endpoints.cloudflare.dns import ensure_record
from doorward.relay.endpoints.rules import endpoint_names
from doorward.relay.settings import CloudflareSettings
from tests.system_parts import require_system_part

pytestmark = pytest.mark.anyio

VARIABLES = ("API_TOKEN", "ACCOUNT_ID", "ZONE_ID", "ZONE")


@pytest.fixture
async def api() -> AsyncIterator[CloudflareApi]:
    missing = [name for name in VARIABLES if not os.environ.get(f"DOORWARD_CLOUDFLARE_{name}")]
    reason = f"DOORWARD_CLOUDFLARE_{{{','.join(missing)}}} not given" if missing else None
    require_system_part("a Cloudflare account", reason, fails_in_ci=False)
    outbound = Outbound()
    yield CloudflareApi(
        CloudflareSettings(
            account_id=os.environ["DOORWARD_CLOUDFLARE_ACCOUNT_ID"],
            zone_id=os.environ["DOORWARD_CLOUDFLARE_ZONE_ID"],
            api_token=os.environ["DOORWARD_CLOUDFLARE_API_TOKEN"],
        ),
        outbound,
    )
    await outbound.close()


async def test_a_tunnel_and_its_name_are_made_found_again_and_removed(api: CloudflareApi) -> None:
    names = endpoint_names(
        stage=f"test-{secrets.token_hex(3)}",
        user_id="user_test",
        environment_id=str(uuid.uuid4()),
        zone=os.environ["DOORWARD_CLOUDFLARE_ZONE"],
    )
    assert await api.find_tunnel(names.tunnel_name) is None
    tunnel = await api.create_tunnel(names.tunnel_name)
    record_id = None
    try:
        assert tunnel.name == names.tunnel_name
        assert await api.find_tunnel(names.tunnel_name) is not None
        listed = await api.list_tunnels(names.tunnel_name[:-16], 1)
        assert tunnel.id in [entry.id for entry in listed]
        await api.configure_tunnel(tunnel.id, hostname=names.hostname, service="http://127.0.0.1:3773")
        record_id = await ensure_record(api, hostname=names.hostname, tunnel_id=tunnel.id, known_id=None)
        again = await ensure_record(api, hostname=names.hostname, tunnel_id=tunnel.id, known_id=None)
        assert again == record_id
        assert await api.tunnel_token(tunnel.id)
    finally:
        if record_id is not None:
            await api.delete_record(record_id)
        await api.delete_tunnel(tunnel.id)
    assert await api.get_tunnel(tunnel.id) is None
    await api.delete_tunnel(tunnel.id)
    assert await api.find_records(names.hostname) == []

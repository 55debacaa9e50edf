"""The relay: the control plane that links machines to accounts and asks them for access, never carrying the data.

Speaks the T3 Connect relay protocol (docs/compatibility/connect-relay.md) and our extensions of it
(docs/protocol-extensions.md). `api` lists the routes; a request goes `http` → `api` → a folder's `service` → its
`rules` and `store`.

    links, credentials, services   what an account and its environment own here
    link_notices                   what the owner of a link has to be told
    endpoints                      public host names, by provider, and the edge's questions about them
    recovery                       tunnels that come and go while their link stays
    tokens, users, replay, limits  who is calling, with which key, how often
    connect                        asking an environment, and judging its answer
    devices, activity, delivery    whom to tell, what there is to tell, and telling it
    audit, migrations              rows

Neighbours: the accounts server (its published keys only), the environments (over their managed endpoints), the edge
(through `server`: `authorize_tunnel`, `resolve_host`, `claims`, and the channels "relay.tunnel", "relay.hostnames",
"relay.tunnel_claims" and "relay.tunnel_wanted"), and the identity server's mail (through `server`: `link_notices`, and
the channel "relay.link_notices").
"""

from doorward.relay.endpoints.claims import CLAIMS_CHANNEL, WANTED_CHANNEL, TunnelClaimed, TunnelWanted
from doorward.relay.endpoints.tunnels import EndpointOwner, TunnelAuthorized, TunnelRefused
from doorward.relay.link_notices.service import LinkNotices
from doorward.relay.links.directory import LinkDirectory
from doorward.relay.relay import SCHEMA, Relay, create_relay
from doorward.relay.settings import ApnsSettings, ClerkCloud, CloudflareSettings, RateLimits, RelaySettings
from doorward.relay.users.barring import IsBarred, nobody_is_barred

__all__ = [
    "CLAIMS_CHANNEL",
    "SCHEMA",
    "WANTED_CHANNEL",
    "ApnsSettings",
    "ClerkCloud",
    "CloudflareSettings",
    "EndpointOwner",
    "IsBarred",
    "LinkDirectory",
    "LinkNotices",
    "RateLimits",
    "Relay",
    "RelaySettings",
    "TunnelAuthorized",
    "TunnelClaimed",
    "TunnelRefused",
    "TunnelWanted",
    "create_relay",
    "nobody_is_barred",
]

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

Neighbours: the accounts server (its published keys, and what it tells of its accounts by webhook), the environments (over their managed endpoints), the edge
(through `server`: `authorize_tunnel`, `resolve_host`, `claims`, and the channels "relay.tunnel", "relay.hostnames",
"relay.tunnel_claims", "relay.tunnel_wanted" and "relay.account_standings"), and the identity server's mail (through `server`: `link_notices`, and
the channel "relay.link_notices").
"""

from doorward.relay.endpoints.claims import CLAIMS_CHANNEL, WANTED_CHANNEL, TunnelClaimed, TunnelWanted
from doorward.relay.endpoints.tunnels import EndpointOwner, TunnelAuthorized, TunnelRefused
from doorward.relay.link_notices.service import LinkNotices
from doorward.relay.links.directory import LinkDirectory
from doorward.relay.relay import SCHEMA, Relay, create_relay
from doorward.relay.settings import (
    AccountsWebhook,
    ApnsSettings,
    ClerkCloud,
    CloudflareSettings,
    RateLimits,
    RelaySettings,
)
from doorward.relay.users.barring import IsBarred, nobody_is_barred
from doorward.relay.users.news import STANDINGS_CHANNEL, barred_by_news

__all__ = [
    "CLAIMS_CHANNEL",
    "SCHEMA",
    "STANDINGS_CHANNEL",
    "WANTED_CHANNEL",
    "AccountsWebhook",
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
    "barred_by_news",
    "create_relay",
    "nobody_is_barred",
]

"""Managed endpoints: the public host names of linked environments, one file per provider.

`embedded` gives the connector token of our own tunnel and knows which connector may open it; `manual` gives
nothing, for relays whose machines bring their own endpoint. Rows are allocations, one per (account,
environment): two accounts linked to one environment have two names and two tunnels. No routes; neighbours: `links`
(provision and release inside their transactions), `connect` (checks before egress), and, through `server`, the edge.
"""

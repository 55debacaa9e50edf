"""Managed endpoints: the public host names of linked environments, one file or folder per provider.

`embedded` gives the connector token of our own tunnel and knows which connector may open it; `cloudflare` makes tunnels
and DNS records at Cloudflare; `manual` gives nothing, for relays whose machines bring their own endpoint. Rows are
allocations, one per (account, environment): two accounts linked to one environment have two names and two tunnels.

    provider, names      what every provider does, and how each begins
    rules, tunnel_limit  names, and how many
    store, leases        rows, and rows held while another service is called
    tunnels, claims      what the edge asks

No routes; neighbours: `links` and `recovery` (provision and remove), `connect` (checks before egress), and, through
`server`, the edge.
"""

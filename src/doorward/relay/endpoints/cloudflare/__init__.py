"""Endpoints by Cloudflare Tunnel: their network carries the bytes, and `cloudflared` opens the tunnel.

    api         their REST interface, typed
    dns         one CNAME per endpoint, made, found again or mended
    provider    provisioning, releasing, removing; one lease on the allocation's row for each
    census      which of our tunnels nobody uses any more

Neighbours: `endpoints.leases` (rows held during a call), `relay` (runs the census). Nothing of Cloudflare is kept but
ids: the connector's token is fetched when it is needed and goes to the machine only.
"""

"""`doorward-connector`: our tunnel as the program a T3 Code server runs in the place of `cloudflared`.

    T3CODE_CLOUDFLARED_PATH=/path/to/doorward-connector t3 serve

T3 Code starts it as `<program> tunnel run` with the connector token in `TUNNEL_TOKEN`, tells a registered tunnel from
a warning by its lines, and ends it with SIGTERM. It carries every request of the machine's host name to the origin the
token names, a plain HTTP server on loopback, and judges none: a T3 Code server authenticates whoever asks.

    program.py    arguments, version, exit status; imports nothing heavy, for T3 Code asks for the version and waits
    carrying.py   one tunnel from its token to SIGTERM
    lines.py      what it says, in the shape of cloudflared's log

Neighbours: `tunnel` opens the connection, `http1` carries the bytes. Imports nothing else of ours.
"""

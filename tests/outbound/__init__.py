"""The HTTP client, against real sockets on loopback."""

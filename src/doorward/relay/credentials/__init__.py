"""Environment credentials: the bearer secret a linked environment shows the relay.

Issued once in the link response, stored as a SHA-256 hash, revoked when a newer link of the same key replaces
it or when the last link of that key ends. No routes of its own; it guards the service-name routes.
"""

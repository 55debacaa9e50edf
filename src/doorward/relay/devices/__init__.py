"""Mobile devices of an account, for notifications. This relay lists them; registration is not offered yet.

Route: `GET /v1/client/devices`.
"""

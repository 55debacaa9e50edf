"""Clerk's resources that both of its APIs (and its webhooks) show alike: structs, and our words put into them.

Names, order and nullability are Clerk's; times are milliseconds. `backend_api/wire` adds what only back ends see,
`frontend_api/wire` what only browsers do.
"""

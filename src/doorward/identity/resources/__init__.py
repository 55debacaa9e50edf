"""Clerk's resources that its APIs and its webhooks show: structs, and our words put into them.

Names, order and nullability are Clerk's; times are milliseconds. `for_back_ends` adds what browsers do not see. What the
two APIs are asked, and answers that are theirs alone, stand in `backend_api/wire` and `frontend_api/wire`.
"""

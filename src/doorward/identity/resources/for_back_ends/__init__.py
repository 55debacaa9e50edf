"""Clerk's resources with what only back ends see of them: the Backend API answers with them, webhooks tell them."""

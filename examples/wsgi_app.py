"""Plain WSGI. CLERK_SECRET_KEY=… CLERK_PUBLISHABLE_KEY=… CLERK_API_URL=… gunicorn examples.wsgi_app:app"""

import json

from doorward.verify import Authenticator
from doorward.verify.integrations.wsgi import AuthMiddleware, get_auth


def orders(environ, start_response):
    auth = get_auth(environ)
    status = "200 OK" if auth.is_authenticated else "401 Unauthorized"
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps({"user": auth.user_id}).encode()]


app = AuthMiddleware(orders, Authenticator())

"""Plain ASGI. CLERK_SECRET_KEY=… CLERK_PUBLISHABLE_KEY=… CLERK_API_URL=… uvicorn examples.asgi_app:app"""

import json

from doorward.verify import Authenticator
from doorward.verify.integrations.asgi import AuthMiddleware, get_auth


async def orders(scope, receive, send):
    body = json.dumps({"user": get_auth(scope).user_id}).encode()
    await send({"type": "http.response.start", "status": 200 if get_auth(scope).is_authenticated else 401})
    await send({"type": "http.response.body", "body": body})


app = AuthMiddleware(orders, Authenticator())

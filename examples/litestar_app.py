"""Litestar. CLERK_SECRET_KEY=… CLERK_PUBLISHABLE_KEY=… CLERK_API_URL=… uvicorn examples.litestar_app:app"""

from litestar import Litestar, Request, get
from litestar.middleware import DefineMiddleware

from doorward.verify import Authenticator
from doorward.verify.integrations.litestar import AuthMiddleware, get_auth, require_auth


@get("/orders", guards=[require_auth()])
async def orders(request: Request) -> dict:
    return {"user": get_auth(request).user_id}


app = Litestar([orders], middleware=[DefineMiddleware(AuthMiddleware, authenticator=Authenticator())])

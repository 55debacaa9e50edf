"""Starlette. CLERK_SECRET_KEY=… CLERK_PUBLISHABLE_KEY=… CLERK_API_URL=… uvicorn examples.starlette_app:app"""

from starlette.applications import Starlette
from starlette.responses import JSONResponse

from doorward.verify import Authenticator
from doorward.verify.integrations.starlette import AuthMiddleware, get_auth, require_auth


@require_auth()
async def orders(request):
    return JSONResponse({"user": get_auth(request).user_id})


app = Starlette()
app.add_route("/orders", orders)
app.add_middleware(AuthMiddleware, authenticator=Authenticator())

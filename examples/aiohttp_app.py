"""aiohttp. CLERK_SECRET_KEY=… CLERK_PUBLISHABLE_KEY=… CLERK_API_URL=… python examples/aiohttp_app.py"""

from aiohttp import web

from doorward.verify import Authenticator
from doorward.verify.integrations.aiohttp import auth_middleware, get_auth, require_auth


@require_auth()
async def orders(request):
    return web.json_response({"user": get_auth(request).user_id})


app = web.Application(middlewares=[auth_middleware(Authenticator())])
app.router.add_get("/orders", orders)

if __name__ == "__main__":
    web.run_app(app, port=8000)

"""FastAPI. CLERK_SECRET_KEY=… CLERK_PUBLISHABLE_KEY=… CLERK_API_URL=… uvicorn examples.fastapi_app:app"""

from typing import Annotated

from fastapi import Depends, FastAPI

from doorward.verify import Authenticator, SessionAuth
from doorward.verify.integrations.fastapi import RequireAuth

app = FastAPI()
SignedIn = Annotated[SessionAuth, Depends(RequireAuth(Authenticator()))]


@app.get("/orders")
async def orders(auth: SignedIn):
    return {"user": auth.user_id}

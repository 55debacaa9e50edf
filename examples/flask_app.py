"""Flask. CLERK_SECRET_KEY=… CLERK_PUBLISHABLE_KEY=… CLERK_API_URL=… flask --app examples/flask_app.py run"""

from flask import Flask

from doorward.verify import Authenticator
from doorward.verify.integrations.flask import get_auth, init_app, require_auth

app = Flask(__name__)
init_app(app, Authenticator())


@app.get("/orders")
@require_auth()
def orders():
    return {"user": get_auth().user_id}

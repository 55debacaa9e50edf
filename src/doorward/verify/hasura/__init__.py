"""Reading a Hasura DDN `AuthConfig` (v1 to v4) as it stands, and what its engine would make of a request.

    auth = HasuraAuth(read_auth_config(Path("auth-config.hml").read_text()))
    session = await auth.resolve(request.headers)      # .role, .variables

What the engine's source does is done here, with three differences, each on the careful side: a cookie is found wherever it
stands in the header; an audience that is configured is always compared; and a key text that was meant as a public key never
becomes a shared secret. The engine itself never ran beside this code: see docs/data-layers.md.

    auth_config   the document, strictly: what it may hold, and where it is wrong
    generation    the document for a template of ours
    pointers      RFC 6901
    claims        from a token's claims to roles and session variables
    token         where a request carries the token, and whether it is good
    webhook       what the webhook is asked, and what its answer means
    session       the role and variables of one request
    auth          all of it for one request
    errors        what a request is refused with
"""

from doorward.verify.hasura.auth import HasuraAuth
from doorward.verify.hasura.auth_config import AuthConfig, AuthConfigInvalid, read_auth_config
from doorward.verify.hasura.errors import HasuraRefused
from doorward.verify.hasura.session import HasuraSession

__all__ = [
    "AuthConfig",
    "AuthConfigInvalid",
    "HasuraAuth",
    "HasuraRefused",
    "HasuraSession",
    "read_auth_config",
]

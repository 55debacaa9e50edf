"""Django REST framework.

    REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["doorward.verify.integrations.drf.DoorwardAuthentication"]}

Needs the middleware of `integrations.django`, which has judged the request already. `request.auth` is who it is by,
`request.user` the same as DRF's permissions want it.
"""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission

from doorward.verify.integrations.django import get_state
from doorward.verify.integrations.requirement import NotLetIn, Requirement, read_auth
from doorward.verify.results import Auth
from doorward.verify.settings import AcceptsToken


class DoorwardUser:
    """Who a request is by, where DRF expects a user: `pk` is the account's, key's or machine's id."""

    is_active = True
    is_authenticated = True
    is_anonymous = False
    is_staff = False
    is_superuser = False

    def __init__(self, auth: Auth) -> None:
        self.auth = auth
        self.pk = self.id = getattr(auth, "user_id", None) or getattr(auth, "subject", None)

    def __str__(self) -> str:
        return str(self.pk)


class DoorwardAuthentication(BaseAuthentication):
    """Subclass it and set `accepts_token` to let other kinds of token in than sessions'."""

    accepts_token: AcceptsToken = "session_token"

    def authenticate(self, request: Any) -> tuple[DoorwardUser, Auth] | None:
        state = get_state(request._request)
        auth = read_auth(state, self.accepts_token)
        if auth.is_authenticated:
            return DoorwardUser(auth), auth
        if request.headers.get("authorization"):  # a credential was offered, and is not good
            assert state is not None
            raise AuthenticationFailed(
                state.message or "Another kind of token is due here.", state.reason or "token-type-mismatch"
            )
        return None

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


def require_auth(accepts_token: AcceptsToken = "session_token", **asked: Any) -> type[BasePermission]:
    """A permission class that lets only requests in that `Requirement(accepts_token, **asked)` does."""
    requirement = Requirement(accepts_token, **asked)

    class Required(BasePermission):
        def has_permission(self, request: Any, view: Any) -> bool:
            state = get_state(request._request)
            try:
                if state is not None:
                    requirement.check(state)
                    return True
            except NotLetIn:
                pass
            return False

    return Required

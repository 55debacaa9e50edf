"""The application as a Django site. Django has one configuration per process, so it is made once and its
authenticator put in place for each server."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import django
from django.conf import settings
from django.http import JsonResponse
from django.urls import clear_url_caches, path

from doorward.verify import Authenticator
from doorward.verify.integrations.django import get_auth, require_auth
from tests.verify.frameworks import applications

_URLS = "tests.verify.frameworks.urls"


def configure(authenticator: Authenticator) -> None:
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=_URLS,
            ALLOWED_HOSTS=["127.0.0.1"],
            SECRET_KEY="only for tests",
            MIDDLEWARE=["doorward.verify.integrations.django.AuthMiddleware"],
            INSTALLED_APPS=["rest_framework"],
            DOORWARD={},
            REST_FRAMEWORK={
                "DEFAULT_AUTHENTICATION_CLASSES": ["doorward.verify.integrations.drf.DoorwardAuthentication"],
                "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
                "UNAUTHENTICATED_USER": None,
            },
        )
        django.setup()
    settings.DOORWARD = {"authenticator": authenticator}
    _mount([path(route[1:], guard(accepts)) for route, accepts, guard in _views()])


def configure_bare() -> None:
    """In a process where the site is nothing else: without the middleware."""
    settings.configure(
        ROOT_URLCONF=_URLS, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="only for tests", MIDDLEWARE=[]
    )
    django.setup()
    _mount([path("", lambda _: JsonResponse(applications.told(applications.SOMEBODY)))])


def use_rest_framework() -> None:
    from rest_framework.renderers import JSONRenderer
    from rest_framework.response import Response
    from rest_framework.views import APIView

    from doorward.verify.integrations.drf import DoorwardAuthentication, require_auth

    class JsonForBrowsers(JSONRenderer):
        media_type, format = "text/html", "html"

    def api_view(accepts: Any, **asked: Any) -> Any:
        class Authentication(DoorwardAuthentication):
            accepts_token = accepts

        class View(APIView):
            authentication_classes = (Authentication,)
            permission_classes = (require_auth(accepts, **asked),)
            renderer_classes = (JSONRenderer, JsonForBrowsers)

            def get(self, request: Any) -> Response:
                return Response(applications.told(request.auth))

        return View.as_view()

    _mount(
        [
            path("", view("session_token")),
            path("orders", api_view("session_token")),
            path("reports", api_view("session_token", permission=applications.PERMISSION)),
            path("machine", api_view("m2m_token")),
            path("any", api_view(applications.ANY)),
        ]
    )


def view(accepts: Any) -> Any:
    def answer(request: Any) -> JsonResponse:
        return JsonResponse(applications.told(get_auth(request, accepts)))

    return answer


def _views() -> list[tuple[str, Any, Any]]:
    return [
        ("/", "session_token", view),
        ("/orders", "session_token", lambda accepts: require_auth()(view(accepts))),
        (
            "/reports",
            "session_token",
            lambda accepts: require_auth(permission=applications.PERMISSION)(view(accepts)),
        ),
        ("/machine", "m2m_token", lambda accepts: require_auth("m2m_token")(view(accepts))),
        ("/any", applications.ANY, lambda accepts: require_auth(accepts)(view(accepts))),
    ]


def _mount(patterns: list[Any]) -> None:
    urls = ModuleType(_URLS)
    urls.urlpatterns = patterns  # type: ignore[attr-defined]
    sys.modules[_URLS] = urls
    clear_url_caches()

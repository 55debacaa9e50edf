"""Django. CLERK_SECRET_KEY=… CLERK_PUBLISHABLE_KEY=… CLERK_API_URL=… gunicorn examples.django_app:app"""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

from doorward.verify.integrations.django import get_auth, require_auth


@require_auth()
def orders(request):
    return JsonResponse({"user": get_auth(request).user_id})


urlpatterns = [path("orders", orders)]
middleware = ["doorward.verify.integrations.django.AuthMiddleware"]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="change me", MIDDLEWARE=middleware)
app = get_wsgi_application()

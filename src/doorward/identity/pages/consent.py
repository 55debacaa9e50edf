"""An application asks to know who a person is: say to whom, say what, let them decide."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.pages import forms, wording
from doorward.identity.pages.site import Site


async def show(site: Site, request: Request) -> Response:
    _, signed_in = await site.signed_in(request)
    asked = await site.identity.oauth.consent_request(dict(request.query_params), signed_in)
    context = {
        "asked": asked,
        "resource_host": None if asked.resource is None else urlsplit(asked.resource).netloc,
        "grants": [wording.scope_words(line.scope) for line in asked.scopes],
    }
    # The decision is answered with a redirect to the application, and browsers hold that against the form.
    form_action = (_origin(asked.parameters["redirect_uri"]),)
    return site.page(request, "consent.html", context, form_action=form_action)


async def decide(site: Site, request: Request) -> Response:
    """What is granted is checked again from the submitted parameters; the page before vouches for nothing."""
    fields = await forms.fields_of(request)
    _, signed_in = await site.signed_in(request)
    consented = fields.pop("consented", "") == "true"
    return site.see(await site.identity.oauth.decide_consent(fields, signed_in, consented=consented))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

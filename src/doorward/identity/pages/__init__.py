"""Identity's pages: what a person sees at the accounts origin. Rendered here; scripts only spare a step.

| routes | file |
| --- | --- |
| `/` | `routing` |
| `/sign-up`, `/sign-up/verify`, `/sign-up/resend` | `sign_up` |
| `/sign-in`, `/sign-out` | `sign_in` |
| `/sign-in/confirm` | `confirm` |
| `/sign-in/forgot`, `/sign-in/code`, `/sign-in/new-password` | `reset` |
| `/account`, `/account/password`, `/account/sessions…` | `account` |
| `/machines` | `machines` (its module asks this origin for a token and the relay for the list) |
| `/oauth-consent` | `consent` |
| `/connect/callback` | `paste` |
| `/device`, `/device/decide` | `device` |
| `/dev/inbox` | `inbox`; exists only in development |

Every page is one function `(site, request) -> Response`. `routing` wraps each: a POST that did not come from our own
pages is refused before the function runs, and a refusal becomes the error page. Pages keep no state: what step comes
next is what the services say of the attempt, whose id travels in the URL and is worth nothing in another browser.

Neighbours: the services of identity decide everything; `web` draws. `wording` is the one place that turns codes into
sentences, `redirects` the one check of where a page may send a person.
"""

from doorward.identity.pages.routing import error_page, exception_handlers, routes

__all__ = ["error_page", "exception_handlers", "routes"]

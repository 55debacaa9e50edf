"""Identity: accounts, sign-in, sessions, tokens and the OAuth 2.1 provider of one Doorward instance.

Owns every table whose name starts with `identity_`, the signing keys and the cookies `__client` and
`__client_uat`. It mounts, at the accounts origin:

| routes | folder |
| --- | --- |
| `/v1/…` (the Frontend API, Clerk's wire) | `frontend_api` |
| `/oauth/…`, `/.well-known/…` | `oauth`, `signing_keys` (wire in `frontend_api`) |
| `/api`, `/api/v1` | `backend_api` |
| `/sign-in…`, `/sign-up…`, `/account…`, `/machines`, `/oauth-consent`, `/device…`, `/dev/inbox` | `pages` |
| `/admin…` | `console` |

Neighbours: `store` keeps the rows, `jose` signs, `web` draws the pages. The relay and the environments meet
identity over the wire only (JWKS and tokens). `server` puts the application on a socket.

Inside, one folder per capability, each with the same words: `rules` (pure), `store` (SQL), `service` (one use
case, one transaction).

Services
--------
`create_identity(...)` answers an `Identity`; its attributes are the services. Pages call them directly and share the
Frontend API's cookies. Every method is `async` unless it says otherwise; refusals raise `errors.Refused` (Clerk's code,
message, long_message; `.errors[0].code`, `.errors[0].text`, `.errors[0].param`, `.status`, `.retry_after`).

    visit = await identity.visits.of(request)                 # Visit: ip, user_agent, origin, client | None
    identity.visits.write(response, changed.client)           # sets the cookies a change asks for (sync)
    identity.visits.require_own_origin(request)               # sync; CSRF: the POST came from our own pages, else Refused

    await identity.sessions.current(visit)                    -> SignedIn(user, session) | None
    await identity.sessions.list_of_user(user_id)             -> list[SessionRecord] (active ones, newest activity first)
    await identity.sessions.end(visit, session_id)            -> Changed[SessionRecord]   (a session of this browser)
    await identity.sessions.revoke(signed_in, session_id)     -> SessionRecord            (any session of the same user)
    await identity.sessions.sign_out(visit)                   -> Changed[None]            (all sessions of this browser)
    await identity.sessions.reauthenticate(visit, session_id, password=…)   -> SessionRecord (good for 10 minutes)

    await identity.sign_up.start(visit, SignUpFields(email_address=…, password=…, ticket=…)) -> Changed[SignUp]
    await identity.sign_up.prepare_verification(visit, sign_up_id)         -> Changed[SignUp]  (mails the code)
    await identity.sign_up.attempt_verification(visit, sign_up_id, code)   -> Changed[SignUp]  (.status "complete" = signed in)
    await identity.sign_up.get(visit, sign_up_id)                          -> SignUp

    await identity.sign_in.start(visit, SignInFields(identifier=…, password=…))  -> Changed[SignIn]
    await identity.sign_in.prepare_first_factor(visit, sign_in_id, strategy)     -> Changed[SignIn]
    await identity.sign_in.attempt_first_factor(visit, sign_in_id, strategy, password=… | code=…) -> Changed[SignIn]
    await identity.sign_in.reset_password(visit, sign_in_id, password, sign_out_of_other_sessions=True) -> Changed[SignIn]

    await identity.accounts.change_password(signed_in, current_password, new_password, sign_out_of_other_sessions=True)
    await identity.accounts.tell_of_link(LinkNews(user_id=…, label=…, …))  -> bool (`server` brings what the relay noted)
    await identity.accounts.delete_account(signed_in)                      (needs a re-authentication of the last 10 minutes)

    await identity.oauth.authorize(params: Mapping[str, str], signed_in)   -> Redirect(url) | NeedsSignIn | NeedsConsent
    await identity.oauth.consent_request(params, signed_in)                -> ConsentRequest(client_name, resource, scopes, …)
    await identity.oauth.decide_consent(params, signed_in, consented=…)    -> str (the URL to answer 303 with)
          # the consent page may also let its form POST to /v1/me/oauth/consent/{client_id}, with the authorize
          # parameters as hidden inputs and consented=true|false
    await identity.devices.find(signed_in, visit, user_code)               -> DeviceRequest(client_name, ip, user_agent, requested_at, …)
    await identity.devices.decide(signed_in, visit, user_code, approve=…)  -> None

    await identity.administrators.list() | grant(user_id, actor=…) | withdraw(user_id, actor=…)   (never the last one)
    await identity.audit.page(AuditFilter(…), before=place, limit=…)       -> list[AuditEvent] (newest first)
    await identity.invitations.of_ticket(ticket)                           -> Invitation | Problem  (for the sign-up page)
    await identity.webhooks.create(url, kinds=[…], description=…, actor=…)  -> MadeSecret(endpoint, secret) (shown once)
    await identity.webhooks.list_endpoints() | get(id) | update(id, url=…, kinds=…, is_enabled=…, actor=…) | delete(id, actor=…)
    await identity.webhooks.rotate_secret(endpoint_id, actor=…)            -> MadeSecret (the old one signs for a day more)
    await identity.webhooks.list_deliveries(endpoint_id, status=…, limit=…, offset=…) -> DeliveryPage(deliveries, total)
    await identity.webhooks.replay(endpoint_id, delivery_id, actor=…)      -> Delivery
    await identity.webhooks.replay_undelivered(endpoint_id, since=…, actor=…) -> int
    await identity.webhooks.send_test(endpoint_id, actor=…)                -> str (the event's id)
    identity.inbox                                                         -> DevelopmentInbox | None

`pages` exports `routes(identity) -> list[BaseRoute]` and `error_page(identity, request, refused) -> Response`.
Where authorize needs a person it sends the browser (303) to `/sign-in?redirect_url=<authorize URL>` or to
`/oauth-consent?<authorize parameters>`; invitations point at `/v1/tickets/accept?ticket=<ticket>` (the
administrator's at `/sign-up?__clerk_ticket=<ticket>`); a device's person opens
`/device` or `/device?user_code=WDJB-MJHT`.
"""

from doorward.identity.app import SCHEMA, create_identity
from doorward.identity.mail import ConsoleMailer, DevelopmentInbox, Mail, Mailer, SmtpMailer
from doorward.identity.services import Identity
from doorward.identity.settings import IdentitySettings, RateLimit, RateLimits

__all__ = [
    "SCHEMA",
    "ConsoleMailer",
    "DevelopmentInbox",
    "Identity",
    "IdentitySettings",
    "Mail",
    "Mailer",
    "RateLimit",
    "RateLimits",
    "SmtpMailer",
    "create_identity",
]

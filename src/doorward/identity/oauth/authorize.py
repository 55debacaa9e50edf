"""From an authorize request to a code: validation, sign-in, consent (RFC 6749 §4.1, OAuth 2.1, RFC 9207, RFC 8707)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from doorward.identity.audit import store as audit
from doorward.identity.errors import Problem, Refused
from doorward.identity.identifiers import new_secret
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.oauth import clients, grants, rules
from doorward.identity.oauth.clients import OAuthClient
from doorward.identity.oauth.grants import Code
from doorward.identity.sessions.service import refuse_barred
from doorward.identity.sessions.signed_in import SignedIn
from doorward.identity.settings import IdentitySettings
from doorward.store import Clock, Database, Tx

CODE_PURPOSE = "oauth-code"
#: Parameters of an authorize request; a consent form carries them along as hidden inputs.
PARAMETERS = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "nonce",
    "prompt",
    "resource",
)
# `prompt=login` is met by a proof of identity this young.
FRESH_LOGIN_MS = 60_000

CLIENT_UNKNOWN = Problem(
    401,
    "oauth_authorize_request_error",
    "Authorize request failed",
    "The requested OAuth application is not known here: invalid_client",
)
REDIRECT_MISMATCH = Problem(
    400,
    "oauth_authorize_request_error",
    "Authorize request failed",
    "The redirect_uri does not exactly match a redirect URI registered for this OAuth application.: "
    "redirect_uri_mismatch",
)
PARAMETER_REPEATED = Problem(
    400,
    "oauth_authorize_request_error",
    "Authorize request failed",
    "A parameter of the authorize request appears more than once: invalid_request",
)


class Redirect(msgspec.Struct, frozen=True):
    """Answer with 303 to this URL: a code, or an error the client has to hear."""

    url: str


class NeedsSignIn(msgspec.Struct, frozen=True):
    """Nobody is signed in, or (`is_fresh_proof_needed`) the person must prove themselves once more."""

    is_fresh_proof_needed: bool = False


class NeedsConsent(msgspec.Struct, frozen=True):
    """The person has to say yes first."""


class ScopeLine(msgspec.Struct, frozen=True):
    scope: str
    description: str
    requires_consent: bool


class ConsentRequest(msgspec.Struct, frozen=True):
    """What the consent page shows. `resource` is the machine's origin for the gate's client, else None.

    `is_pasted`: the person gets a code to paste into a terminal.

    `parameters` are the hidden inputs of the form that posts the decision.
    """

    client_id: str
    client_name: str
    client_image_id: str | None
    redirect_host: str
    is_pasted: bool
    resource: str | None
    scopes: list[ScopeLine]
    email_address: str
    parameters: dict[str, str]


class AuthorizeRequest(msgspec.Struct, frozen=True):
    client: OAuthClient
    redirect_uri: str
    scope: tuple[str, ...]
    state: str | None
    code_challenge: str
    nonce: str | None
    prompt: frozenset[str]
    resource: str | None


class _Rejected(Exception):
    """An error the client hears by redirect."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(code)
        self.code = code
        self.description = description


class Authorize:
    def __init__(
        self, settings: IdentitySettings, database: Database, keyed_hash: KeyedHash, clock: Clock
    ) -> None:
        self._settings = settings
        self._database = database
        self._hash = keyed_hash
        self._clock = clock

    async def prepare(self) -> None:
        """Register the built-in clients as today's settings describe them."""
        now = self._clock()

        def work(tx: Tx) -> None:
            for client in clients.built_in(self._settings):
                if clients.find(tx, client.client_id) != client:
                    clients.put(tx, client, now)

        await self._database.write(work)

    async def register(self, client: OAuthClient) -> None:
        """Add or replace a client."""
        now = self._clock()
        await self._database.write(lambda tx: clients.put(tx, client, now))

    def secret_hash(self, secret: str) -> str:
        """The stored form of a confidential client's secret."""
        return self._hash.of(clients.SECRET_PURPOSE, secret)

    async def authorize(
        self, params: Mapping[str, str], signed_in: SignedIn | None
    ) -> Redirect | NeedsSignIn | NeedsConsent:
        """The order of checks is Clerk's. Raises Refused where redirecting would serve an attacker: unknown client,
        unregistered redirect URI."""
        client, redirect_uri = await self._trusted_target(params)
        try:
            request = self._read(params, client, redirect_uri)
            return await self._decide(request, signed_in)
        except _Rejected as rejected:
            return self._rejection(redirect_uri, params.get("state"), rejected)

    async def consent_request(self, params: Mapping[str, str], signed_in: SignedIn) -> ConsentRequest:
        """What to show. Raises Refused for anything `authorize` would not have asked consent for."""
        client, redirect_uri = await self._trusted_target(params)
        try:
            request = self._read(params, client, redirect_uri)
        except _Rejected as rejected:
            raise Refused(
                Problem(
                    400,
                    "oauth_authorize_request_error",
                    "Authorize request failed",
                    f"{rejected.description}: {rejected.code}",
                )
            ) from rejected
        return ConsentRequest(
            client_id=client.client_id,
            client_name=client.name,
            client_image_id=client.image_id,
            redirect_host=rules.redirect_host(redirect_uri),
            is_pasted=self.is_pasted(redirect_uri),
            resource=request.resource,
            scopes=[
                ScopeLine(scope, rules.SCOPE_DESCRIPTIONS.get(scope, scope), scope != "openid")
                for scope in request.scope
            ],
            email_address=signed_in.email_address,
            parameters={name: params[name] for name in PARAMETERS if name in params},
        )

    async def decide_consent(self, params: Mapping[str, str], signed_in: SignedIn, *, consented: bool) -> str:
        """The person's answer; the URL to redirect (303) to. Raises Refused as `authorize` does."""
        client, redirect_uri = await self._trusted_target(params)
        try:
            request = self._read(params, client, redirect_uri)
            refuse_barred(signed_in.user, self._clock())
            if not consented:
                raise _Rejected("access_denied", "The user denied the request")
            return (await self._grant(request, signed_in, remembers=True)).url
        except _Rejected as rejected:
            return self._rejection(redirect_uri, params.get("state"), rejected).url

    # -- validation

    async def _trusted_target(self, params: Mapping[str, str]) -> tuple[OAuthClient, str]:
        """The client and a redirect URI that really is its own. Everything before this point must not redirect."""
        client_id = params.get("client_id", "")
        client = await self._database.read(lambda tx: clients.find(tx, client_id))
        if client is None:
            raise Refused(CLIENT_UNKNOWN)
        redirect_uri = params.get("redirect_uri", "")
        if client.resource_policy == "gate":
            is_own = self._gate_origin(redirect_uri) is not None
        else:
            is_own = rules.is_registered_redirect(redirect_uri, client)
        if not is_own:
            raise Refused(REDIRECT_MISMATCH)
        return client, redirect_uri

    def _gate_origin(self, redirect_uri: str) -> str | None:
        return rules.gate_origin(
            redirect_uri, gate_zone=self._settings.gate_zone, scheme=self._settings.scheme
        )

    def _read(self, params: Mapping[str, str], client: OAuthClient, redirect_uri: str) -> AuthorizeRequest:
        if params.get("response_type") != "code":
            raise _Rejected("unsupported_response_type", "response_type must be code")
        if "authorization_code" not in client.grant_types:
            raise _Rejected("unauthorized_client", "This client may not use the authorization code flow")
        if params.get("response_mode", "query") != "query":
            raise _Rejected("invalid_request", "response_mode must be query")
        scope = rules.parse_scope(params.get("scope"), client)
        if scope is None:
            raise _Rejected("invalid_scope", "The client may not request one of these scopes")
        challenge = _challenge(params, client)
        state = params.get("state")
        if state is not None and len(state) < rules.MIN_STATE_LENGTH:
            raise _Rejected("invalid_request", "state must have at least 8 characters")
        prompt = frozenset(params.get("prompt", "").split())
        if prompt - {"none", "login", "consent", "select_account"} or ("none" in prompt and len(prompt) > 1):
            raise _Rejected("invalid_request", "prompt must be none, login or consent")
        return AuthorizeRequest(
            client=client,
            redirect_uri=redirect_uri,
            scope=scope,
            state=state,
            code_challenge=challenge,
            nonce=params.get("nonce"),
            prompt=prompt,
            resource=self._resource(params, client, redirect_uri),
        )

    def _resource(self, params: Mapping[str, str], client: OAuthClient, redirect_uri: str) -> str | None:
        """A gate's token is for the environment that receives the code, and for no other."""
        resource = params.get("resource")
        if client.resource_policy == "gate":
            if resource is None or resource != self._gate_origin(redirect_uri):
                raise _Rejected("invalid_target", "resource must be the origin of the redirect URI")
            return resource
        if resource is not None:
            raise _Rejected("invalid_target", "This client's tokens are not bound to a resource")
        return None

    # -- decision

    async def _decide(
        self, request: AuthorizeRequest, signed_in: SignedIn | None
    ) -> Redirect | NeedsSignIn | NeedsConsent:
        now = self._clock()
        if signed_in is None:
            if "none" in request.prompt:
                raise _Rejected("login_required", "Nobody is signed in")
            return NeedsSignIn()
        refuse_barred(signed_in.user, now)
        if "login" in request.prompt and now - signed_in.session.verified_at > FRESH_LOGIN_MS:
            return NeedsSignIn(is_fresh_proof_needed=True)
        if await self._needs_consent(request, signed_in):
            if "none" in request.prompt:
                raise _Rejected("consent_required", "The user has not consented yet")
            return NeedsConsent()
        return await self._grant(request, signed_in, remembers=False)

    def is_pasted(self, redirect_uri: str) -> bool:
        """Whether the code is shown to the person, to be pasted into a terminal, and goes to no program by itself."""
        return redirect_uri == f"{self._settings.origin}{clients.PASTE_PATH}"

    async def _needs_consent(self, request: AuthorizeRequest, signed_in: SignedIn) -> bool:
        """Consent is never remembered where the redirect proves nothing about which program asks: a loopback address
        (RFC 8252 §8.6), or our own page that shows the code, to which anybody can make a person go."""
        if (
            "consent" in request.prompt
            or rules.is_loopback(request.redirect_uri)
            or self.is_pasted(request.redirect_uri)
        ):
            return True
        if not request.client.is_consent_asked:
            return False
        granted = await self._database.read(
            lambda tx: grants.consented_scope(
                tx, signed_in.user_id, request.client.client_id, request.resource
            )
        )
        return not granted.issuperset(request.scope)

    async def _grant(self, request: AuthorizeRequest, signed_in: SignedIn, *, remembers: bool) -> Redirect:
        code, now = new_secret(), self._clock()
        record = Code(
            code_hash=self._hash.of(CODE_PURPOSE, code),
            client_id=request.client.client_id,
            user_id=signed_in.user_id,
            session_id=signed_in.session.id,
            redirect_uri=request.redirect_uri,
            scope=" ".join(request.scope),
            resource=request.resource,
            code_challenge=request.code_challenge,
            nonce=request.nonce,
            authenticated_at=signed_in.session.verified_at,
            created_at=now,
            expire_at=now + rules.CODE_LIFETIME_MS,
            grant_id=None,
        )

        def work(tx: Tx) -> None:
            grants.insert_code(tx, record)
            if remembers:
                earlier = grants.consented_scope(tx, record.user_id, record.client_id, record.resource)
                grants.put_consent(
                    tx,
                    record.user_id,
                    record.client_id,
                    record.resource,
                    earlier | frozenset(request.scope),
                    now,
                )
            audit.record(
                tx,
                now=now,
                actor=record.user_id,
                action="oauth.authorized",
                object_id=record.client_id,
                detail=record.resource or "",
            )

        await self._database.write(work)
        return Redirect(
            rules.with_query(
                request.redirect_uri,
                [("code", code), ("state", request.state), ("iss", self._settings.origin)],
            )
        )

    def _rejection(self, redirect_uri: str, state: str | None, rejected: _Rejected) -> Redirect:
        return Redirect(
            rules.with_query(
                redirect_uri,
                [
                    ("error", rejected.code),
                    ("error_description", rejected.description),
                    ("state", state),
                    ("iss", self._settings.origin),
                ],
            )
        )


def _challenge(params: Mapping[str, str], client: OAuthClient) -> str:
    """The PKCE challenge; empty for a client with a secret that may do without one and does."""
    challenge = params.get("code_challenge", "")
    if not challenge:
        if client.is_pkce_required or client.is_public or "code_challenge_method" in params:
            raise _Rejected("invalid_request", "PKCE is required: code_challenge is missing")
        return ""
    if params.get("code_challenge_method") != "S256":
        raise _Rejected("invalid_request", "code_challenge_method must be S256")
    if not rules.is_code_challenge(challenge):
        raise _Rejected("invalid_request", "code_challenge must be the base64url SHA-256 of the verifier")
    return challenge

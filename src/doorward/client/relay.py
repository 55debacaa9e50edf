"""The relay's API as a client uses it, with its DPoP-bound access tokens (connect-environment §7.2, §7.3).

The account is proved by the terminal's OAuth access token. Listing takes it as a bearer; connecting and asking for status
take a relay token bound to the device's key (RFC 9449), exchanged once and kept until shortly before it ends: it belongs to
the account, so that a renewed sign-in of the same account goes on with it and another account never sees it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import quote

import msgspec

from doorward.client.errors import (
    ClientError,
    ClocksApart,
    MachineUnknown,
    Refused,
    SignInRequired,
    Unavailable,
)
from doorward.jose import JoseError, PrivateKey, create_dpop_proof, peek_claims
from doorward.outbound import (
    CertificateRefused,
    Outbound,
    OutboundError,
    Response,
    TimedOut,
    UnexpectedBody,
    clocks_apart,
)
from doorward.t3_connect import InsecureOrigin, secure_origin
from doorward.t3_connect.messages import (
    GRANT_TYPE_TOKEN_EXCHANGE,
    TOKEN_TYPE_ACCESS_TOKEN,
    ClientMeta,
    ConnectAuthorized,
    ConnectPending,
    ConnectRequest,
    EnvironmentEntry,
    EnvironmentList,
    ServiceEntry,
    StatusResponse,
    TokenExchangeResponse,
    decode_connect_response,
)
from doorward.t3_connect.wire import SchemaMismatch

T = TypeVar("T")
Clock = Callable[[], int]
AccountToken = Callable[[], Awaitable[str]]

CONNECT_SCOPE = "environment:connect"
INSECURE_RELAY = "Relay URL must be a secure absolute HTTPS origin."
OTHER_ENVIRONMENT = "Relay returned status for a different environment."
OTHER_ENDPOINT = "Relay returned status for a different environment endpoint."
OTHER_DESCRIPTOR = "Relay returned a descriptor for a different environment."
STATUS_SCOPE = "environment:status environment:connect"
_FRESH_MS = 5_000


class _Subject(msgspec.Struct):
    """Whose token it is, by its own word: it only keeps two accounts' tokens apart here."""

    sub: str


class _RelayToken(msgspec.Struct, frozen=True):
    access_token: str
    scopes: frozenset[str]
    expires_at: int

    def __repr__(self) -> str:
        return f"_RelayToken(scopes={sorted(self.scopes)}, expires_at={self.expires_at})"


class _Problem(msgspec.Struct):
    tag: str = msgspec.field(name="_tag", default="")
    reason: str = ""


class RelayClient:
    """One account at one relay. `account_token` gives a usable OAuth access token or raises SignInRequired.

    `recent_account_token` gives one made in the last minutes, as connecting needs it; by default the same. Raises Refused
    for a relay no credential may be sent to.
    """

    def __init__(
        self,
        outbound: Outbound,
        *,
        relay_url: str,
        client_id: str,
        account_token: AccountToken,
        recent_account_token: AccountToken | None = None,
        clock: Clock,
    ) -> None:
        self._outbound = outbound
        try:
            self._relay = secure_origin(relay_url)
        except InsecureOrigin as error:
            raise Refused(INSECURE_RELAY, reason="configuration") from error
        self._client_id = client_id
        self._account_token = account_token
        self._recent_account_token = recent_account_token or account_token
        self._clock = clock
        self._tokens: dict[tuple[str, str], _RelayToken] = {}
        self._exchanging = asyncio.Lock()

    async def machines(self) -> tuple[EnvironmentEntry, ...]:
        """Every machine linked to the account."""
        bearer = {"authorization": f"Bearer {await self._account_token()}"}
        answer = await self._send("GET", f"{self._relay}/v1/environments", headers=bearer)
        if answer.status != 200:
            raise self._refusal(answer, "list the machines")
        return self._read(answer, EnvironmentList).environments

    async def find(self, name: str) -> tuple[EnvironmentEntry, ServiceEntry | None]:
        """The machine with this id or label, or that has a service of this name.

        Raises MachineUnknown with the names there are.
        """
        machines = await self.machines()
        for machine in machines:
            for service in services_of(machine):
                if service.name == name:
                    return machine, service
        for machine in machines:
            if name in (machine.environment_id, machine.label):
                services = services_of(machine)
                return machine, services[0] if len(services) == 1 else None
        known = ", ".join(sorted(service.name for machine in machines for service in services_of(machine)))
        raise MachineUnknown(
            f"No machine or service named {name!r} is linked to this account. "
            + (
                f"There are: {known}."
                if known
                else "None is linked yet: run `doorward expose PORT` on a machine."
            )
        )

    async def connect(
        self, machine: EnvironmentEntry, key: PrivateKey, client: ClientMeta
    ) -> ConnectAuthorized | ConnectPending:
        """Ask to be let in to a machine with this device's key."""
        url = f"{self._relay}/v1/environments/{quote(machine.environment_id, safe='')}/connect"
        body = msgspec.json.encode(
            ConnectRequest(client_proof_key_thumbprint=key.public.thumbprint, client=client)
        )
        answer = await self._with_relay_token("POST", url, key, body, CONNECT_SCOPE)
        if answer.status != 200:
            raise self._refusal(answer, f"connect to {machine.label}")
        try:
            decoded = decode_connect_response(answer.body)
        except SchemaMismatch as error:
            raise Refused("The relay's answer has neither a credential nor a wait for approval.") from error
        if decoded.environment_id != machine.environment_id:
            raise Refused(
                f"Connected environment {decoded.environment_id} does not match {machine.environment_id}.",
                reason="configuration",
            )
        return decoded

    async def status(self, machine: EnvironmentEntry, key: PrivateKey) -> StatusResponse:
        """Whether the machine answers, as the relay finds it now."""
        url = f"{self._relay}/v1/environments/{quote(machine.environment_id, safe='')}/status"
        answer = await self._with_relay_token("POST", url, key, b"", STATUS_SCOPE)
        if answer.status != 200:
            raise self._refusal(answer, f"ask for {machine.label}")
        found = self._read(answer, StatusResponse)
        for is_other, message in (
            (found.environment_id != machine.environment_id, OTHER_ENVIRONMENT),
            (found.endpoint != machine.endpoint, OTHER_ENDPOINT),
            (
                found.descriptor is not msgspec.UNSET
                and found.descriptor.environment_id != machine.environment_id,
                OTHER_DESCRIPTOR,
            ),
        ):
            if is_other:
                raise Refused(message, reason="configuration")
        return found

    async def _with_relay_token(
        self, method: str, url: str, key: PrivateKey, body: bytes, scope: str
    ) -> Response:
        """Send with a relay token; one the relay no longer knows is dropped and the request sent once more."""
        token = await self._relay_token(key, scope)
        answer = await self._send_bound(method, url, key, body, token)
        if answer.status == 401 and _problem(answer).reason == "invalid_bearer":
            self._tokens = {name: kept for name, kept in self._tokens.items() if kept.access_token != token}
            token = await self._relay_token(key, scope)
            answer = await self._send_bound(method, url, key, body, token)
        return answer

    async def _send_bound(self, method: str, url: str, key: PrivateKey, body: bytes, token: str) -> Response:
        proof = create_dpop_proof(key, method=method, url=url, now=self._clock() // 1000, access_token=token)
        headers = {"authorization": f"DPoP {token}", "dpop": proof}
        if body:
            headers["content-type"] = "application/json"
        return await self._send(method, url, headers=headers, body=body)

    async def _relay_token(self, key: PrivateKey, scope: str) -> str:
        """The kept token of this account and key where it grants enough, else a new one; one exchange at a time."""
        async with self._exchanging:
            subject = _subject(await self._account_token())
            name = (subject or "", key.public.thumbprint)
            kept = self._tokens.get(name) if subject else None
            if (
                kept is not None
                and kept.scopes.issuperset(scope.split(" "))
                and kept.expires_at > self._clock() + _FRESH_MS
            ):
                return kept.access_token
            made = await self._exchange(key, scope)
            if subject:
                self._tokens[name] = made
            return made.access_token

    async def _exchange(self, key: PrivateKey, scope: str) -> _RelayToken:
        url = f"{self._relay}/v1/client/dpop-token"
        form = {
            "grant_type": GRANT_TYPE_TOKEN_EXCHANGE,
            "subject_token": await self._recent_account_token(),
            "subject_token_type": TOKEN_TYPE_ACCESS_TOKEN,
            "requested_token_type": TOKEN_TYPE_ACCESS_TOKEN,
            "resource": self._relay,
            "scope": scope,
            "client_id": self._client_id,
        }
        proof = create_dpop_proof(key, method="POST", url=url, now=self._clock() // 1000)
        try:
            answer = await self._outbound.form(url, form, headers={"dpop": proof})
        except OutboundError as error:
            raise self._silent(error) from error
        if answer.status != 200:
            raise self._refusal(answer, "sign in at the relay")
        token = self._read(answer, TokenExchangeResponse)
        scopes = frozenset(token.scope.split(" "))
        if scopes != frozenset(scope.split(" ")):
            raise Refused("Relay granted unexpected DPoP access token scopes.")
        return _RelayToken(token.access_token, scopes, self._clock() + token.expires_in * 1000)

    async def _send(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None = None
    ) -> Response:
        try:
            return await self._outbound.request(method, url, headers=headers, body=body)
        except OutboundError as error:
            raise self._silent(error) from error

    def _silent(self, error: OutboundError) -> ClientError:
        if isinstance(error, CertificateRefused):
            return Refused(str(error), reason="configuration")
        return Unavailable(
            f"The relay did not answer. {error}",
            reason="timeout" if isinstance(error, TimedOut) else "relay-unavailable",
        )

    def _read(self, answer: Response, shape: type[T]) -> T:
        try:
            return answer.json(shape)
        except UnexpectedBody as error:
            raise Unavailable(
                f"The relay {self._relay} gave an answer that cannot be read.", reason="relay-unavailable"
            ) from error

    def _refusal(self, answer: Response, doing: str) -> ClientError:
        """The relay's tagged error as a sentence a person can act on."""
        problem = _problem(answer)
        if answer.status == 401 and (apart := clocks_apart(answer, self._clock())):
            return ClocksApart(f"The relay refused to {doing}: {apart}")
        match answer.status, problem.tag:
            case 401, _ if problem.reason in ("invalid_bearer", "not_authorized"):
                return SignInRequired(
                    f"The relay refused to {doing}: the stored sign-in is no longer good. Run `doorward connect login`."
                )
            case 401, _:
                return Refused(
                    f"The relay refused to {doing}: {problem.reason or 'not authorized'}.",
                    reason="authentication",
                )
            case 403, _:
                return Refused(
                    f"The relay may not {doing} for this account"
                    + (f" ({problem.reason.replace('_', ' ')})." if problem.reason else ".")
                )
            case 429, _:
                return Unavailable(
                    "The relay asks for fewer requests. Try again in a minute.", reason="relay-unavailable"
                )
            case 502 | 504, _:
                return Unavailable(
                    "The machine did not answer the relay. Is `doorward expose` running there?",
                    reason="timeout" if answer.status == 504 else "endpoint-unavailable",
                )
            case _:
                return Unavailable(
                    f"The relay could not {doing} (status {answer.status}). Try again later.",
                    reason="relay-unavailable",
                )


def services_of(machine: EnvironmentEntry) -> tuple[ServiceEntry, ...]:
    """The machine's services; a relay that is not ours names none."""
    return () if machine.services is msgspec.UNSET else machine.services


def _problem(answer: Response) -> _Problem:
    try:
        return answer.json(_Problem)
    except UnexpectedBody:
        return _Problem()


def _subject(account_token: str) -> str | None:
    try:
        return peek_claims(account_token, _Subject).sub or None
    except JoseError:
        return None

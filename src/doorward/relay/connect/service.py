"""Asking an environment for a credential or for its health."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from doorward.outbound import Carrier, Outbound, OutboundError, Response, TimedOut
from doorward.relay.connect.errors import (
    EndpointTimedOut,
    EndpointUnavailable,
    NotAuthorized,
    UnavailableReason,
)
from doorward.relay.connect.requests import SignedRequest, sign_health_request, sign_mint_request
from doorward.relay.connect.rules import verify_health_answer, verify_mint_answer
from doorward.relay.connect.store import StoredTarget
from doorward.relay.connect.target import Target, target_of
from doorward.relay.settings import RelaySettings
from doorward.relay.tokens.rules import TokenSigner
from doorward.relay.tracing import Trace
from doorward.spans import span, traced
from doorward.store import Clock
from doorward.t3_connect import SchemaMismatch, decode_json, encode_json
from doorward.t3_connect.errors import EnvironmentScopeRequired, decode_environment_error
from doorward.t3_connect.messages import (
    ClientMeta,
    HealthResponse,
    MintAuthorized,
    MintPending,
    ProofRequest,
    decode_mint_response,
)

T = TypeVar("T")

MINT_PATH = "api/t3-connect/mint-credential"
HEALTH_PATH = "api/t3-connect/health"

OFFLINE_TIMED_OUT = "Managed endpoint health request timed out."
OFFLINE_FAILED = "Managed endpoint health request failed."


class Minted(msgspec.Struct, frozen=True):
    target: Target
    answer: MintAuthorized | MintPending


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a health probe: `answer`, or `error` in words and `checked_at` in milliseconds."""

    target: Target
    checked_at: int
    answer: HealthResponse | None = None
    error: str | None = None


class _EnvironmentRefused(Exception):
    """The environment answered with one of its declared errors (`message` in its words)."""

    def __init__(self, message: str) -> None:
        super().__init__("The environment refused.")
        self.message = message


class _AnswerUndecodable(Exception):
    """A 200 whose body is not of the protocol."""


class Connector:
    """`stored` is what is known of the environment: who comes here has asked for it on the way."""

    def __init__(
        self,
        settings: RelaySettings,
        signer: TokenSigner,
        outbound: Outbound,
        clock: Clock,
        *,
        nearby: Callable[[str], Carrier | None],
    ) -> None:
        """`nearby` leads to the machines of an edge in this process, by host name."""
        self._settings = settings
        self._signer = signer
        self._outbound = outbound
        self._nearby = nearby
        self._clock = clock

    @traced("relay.environment_connector.connect")
    async def connect(
        self,
        stored: StoredTarget | None,
        *,
        thumbprint: str,
        device_id: str | None,
        client: ClientMeta | None,
        trace: Trace,
    ) -> Minted:
        """The environment's verified answer: a credential, or that this device is not approved.

        Raises `NotAuthorized`, `EndpointUnavailable`, `EndpointTimedOut`.
        """
        target = self._target(stored)
        now = self._clock()
        try:
            request = sign_mint_request(
                self._signer, target, thumbprint=thumbprint, device_id=device_id, client=client, now=now
            )
        except Exception as error:
            raise EndpointUnavailable("endpoint_request_failed") from error
        try:
            body = await self._post(target.http_base_url + MINT_PATH, request, trace)
            answer = _decode_mint(body)
        except TimedOut as error:
            raise EndpointTimedOut from error
        except OutboundError as error:
            raise EndpointUnavailable("endpoint_request_failed") from error
        except (_EnvironmentRefused, _AnswerUndecodable) as error:
            reason: UnavailableReason = (
                "endpoint_request_failed" if self._settings.strict_base else "endpoint_response_invalid"
            )
            raise EndpointUnavailable(reason) from error
        verify_mint_answer(
            answer,
            target=target,
            request=request,
            thumbprint=thumbprint,
            issuer=self._signer.issuer,
            requested_at=now,
        )
        if isinstance(answer, MintPending) and client is None and not self._settings.strict_base:
            # A client that sends no `client` was written before approvals and would take the pending answer for a
            # broken relay and try again at once; a refusal it understands.
            raise NotAuthorized(None)
        return Minted(target, answer)

    @traced("relay.environment_connector.status")
    async def probe(self, stored: StoredTarget | None, *, trace: Trace) -> Probed:
        """Whether the environment answers now. Unreachable is an outcome; a forged answer raises.

        Raises `NotAuthorized`, `EndpointUnavailable`.
        """
        target = self._target(stored)
        began = self._clock()
        try:
            request = sign_health_request(self._signer, target, now=began)
        except Exception as error:
            raise EndpointUnavailable("endpoint_request_failed") from error
        try:
            body = await self._post(target.http_base_url + HEALTH_PATH, request, trace)
            answer = _decode(HealthResponse, body)
        except TimedOut:
            return Probed(target=target, checked_at=began, error=OFFLINE_TIMED_OUT)
        except _EnvironmentRefused as error:
            return Probed(
                target=target, checked_at=began, error=f"{OFFLINE_FAILED.removesuffix('.')}: {error.message}"
            )
        except (OutboundError, _AnswerUndecodable, EndpointUnavailable):
            return Probed(target=target, checked_at=began, error=OFFLINE_FAILED)
        verify_health_answer(
            answer,
            target=target,
            request=request,
            issuer=self._signer.issuer,
            requested_at=began,
            now=self._clock(),
        )
        return Probed(target=target, checked_at=began, answer=answer)

    def _target(self, stored: StoredTarget | None) -> Target:
        with span("relay.environment_connector.resolve_managed_endpoint"):
            return target_of(stored, self._settings)

    async def _post(self, url: str, request: SignedRequest, trace: Trace) -> bytes:
        """The body of a 200. Redirects are failures: following one would show the proof to another host."""
        response = await self._outbound.request(
            "POST",
            url,
            headers={"content-type": "application/json", "traceparent": trace.child().traceparent},
            body=encode_json(ProofRequest(proof=request.proof)),
            timeout=self._settings.environment_timeout,
            public_only=self._settings.endpoint_addresses == "public",
            nearby=self._nearby,
        )
        if response.status == 200:
            return response.body
        raise _refusal(response)


def _refusal(response: Response) -> Exception:
    error = decode_environment_error(response.body)
    message = getattr(error, "message", None)
    if error is None or isinstance(error, EnvironmentScopeRequired) or not isinstance(message, str):
        return EndpointUnavailable("endpoint_request_failed")
    return _EnvironmentRefused(message)


def _decode(shape: type[T], body: bytes) -> T:
    try:
        return decode_json(shape, body)
    except SchemaMismatch as error:
        raise _AnswerUndecodable from error


def _decode_mint(body: bytes) -> MintAuthorized | MintPending:
    try:
        return decode_mint_response(body)
    except SchemaMismatch as error:
        raise _AnswerUndecodable from error

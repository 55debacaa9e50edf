"""Bring the wanted link about: at start, after `connect link`, and again with back-off until it stands.

Every run links anew (the relay takes it as the same link), starts the connector and claims the names of this
machine's services. A machine that is linked already keeps serving while it tries.
"""

import asyncio
import logging
import random
from typing import Literal, TypeVar

import msgspec

from doorward.environment.access import MACHINE
from doorward.environment.keys import Keys, SecretStoreFailed
from doorward.environment.link.cli_token import CliTokenRefused, CliTokens, CliTokenUnavailable
from doorward.environment.link.errors import LinkRefused
from doorward.environment.link.proof import sign_link_proof
from doorward.environment.link.service import Link, NoLongerWanted
from doorward.environment.link.supervisor import ConnectorRefused
from doorward.environment.link.undo import revoke_at_relay
from doorward.environment.services import Services
from doorward.outbound import Outbound, OutboundError, clocks_apart
from doorward.store import Clock, StoreError
from doorward.t3_connect import InsecureOrigin, SchemaMismatch, secure_origin
from doorward.t3_connect.errors import decode_relay_error
from doorward.t3_connect.messages import (
    Descriptor,
    Endpoint,
    LinkChallengeRequest,
    LinkChallengeResponse,
    LinkRequest,
    LinkResponse,
    Origin,
    RelayConfigRequest,
    ServiceRegistration,
)
from doorward.t3_connect.wire import decode_json

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 60.0
#: Linking provisions a public host: the relay may need longer than an ordinary request.
LINK_TIMEOUT_SECONDS = 30.0

NO_TOKEN = "Run `doorward connect link` to authorize this environment."  # noqa: S105 - a sentence
NO_RELAY = "T3CODE_RELAY_URL must be configured as a secure absolute HTTPS origin."
NO_ORIGIN = "Could not resolve local environment origin."

Outcome = Literal["unwanted", "linked", "failed"]


class ReconcileFailed(Exception):
    """The link could not be brought about this time; the message says why and what to do."""

    code = "reconcile_failed"


class _NameRefusal(msgspec.Struct):
    """The relay's refusal of a service name (409, 422)."""

    code: str = "name_refused"


class Reconciler:
    """`run` as a task for the life of the agent; `trigger` makes it try now."""

    def __init__(
        self,
        *,
        clock: Clock,
        outbound: Outbound,
        keys: Keys,
        link: Link,
        tokens: CliTokens,
        services: Services,
        descriptor: Descriptor,
        relay_url: str | None,
    ) -> None:
        self._clock = clock
        self._outbound = outbound
        self._keys = keys
        self._link = link
        self._tokens = tokens
        self._services = services
        self._descriptor = descriptor
        self._relay_url = relay_url
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._is_link_due = True
        #: Why the last attempt failed; None after a success or before the first attempt.
        self.last_failure: str | None = None
        #: Set once the first attempt has ended, whatever came of it.
        self.has_tried = asyncio.Event()

    def trigger(self, *, only_names: bool = False) -> None:
        """Something changed: try at once.

        `only_names` spares the tunnel: a link that stands is not made anew, its open streams live on, and
        only the names of services are claimed.
        """
        self._is_link_due = self._is_link_due or not only_names
        self._wake.set()

    async def run(self, local_origin: Origin) -> None:
        """Try until it stands; then sleep until triggered. Never raises but on cancellation."""
        attempts = 0
        while True:
            self._wake.clear()
            await asyncio.sleep(FIRST_WAIT_SECONDS)
            outcome = await self.attempt(local_origin)
            self.has_tried.set()
            attempts = attempts + 1 if outcome == "failed" else 0
            wait = None if outcome != "failed" else random.uniform(0, backoff_ceiling(attempts))  # noqa: S311
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def attempt(self, local_origin: Origin) -> Outcome:
        """One try; its outcome is logged and kept in `last_failure`."""
        async with self._one_at_a_time:
            try:
                if not self._link.is_wanted():
                    self._is_link_due = True
                    # A link that a browser made is not ours to renew, but its services want their names.
                    await self._claim_for_standing_link()
                    self.last_failure = None
                    return "unwanted"
                await self._reconcile(local_origin)
            except (ReconcileFailed, SecretStoreFailed, StoreError) as error:
                self.last_failure = str(error)
                self._is_link_due = True
                log.warning("the link could not be brought about: %s", error)
                return "failed"
            self.last_failure = None
            log.info("this environment is linked to %s", self._relay_url)
            return "linked"

    async def release_name(self, name: str) -> None:
        """Give a service's name back. A relay that cannot be reached keeps it: no host leads to a service then."""
        relay, credential = self._link.relay_origin(), self._link.environment_credential()
        if relay is None or credential is None:
            return
        url = f"{relay}/v1/environments/{self._descriptor.environment_id}/services/{name}"
        try:
            await self._outbound.request("DELETE", url, headers={"authorization": f"Bearer {credential}"})
        except OutboundError as error:
            log.warning("the name %s could not be given back: %s", name, error)

    async def _reconcile(self, local: Origin) -> None:
        if not self._is_link_due and await self._claim_for_standing_link():
            return
        self._is_link_due = False
        if not local.local_http_host:
            raise ReconcileFailed(NO_ORIGIN)
        try:
            bearer = await self._tokens.existing()
        except CliTokenRefused as error:
            raise ReconcileFailed(f"{error} {NO_TOKEN}") from error
        except CliTokenUnavailable as error:
            raise ReconcileFailed(str(error)) from error
        if bearer is None:
            raise ReconcileFailed(NO_TOKEN)
        try:
            relay = secure_origin(self._relay_url or "")
        except InsecureOrigin as error:
            raise ReconcileFailed(NO_RELAY) from error
        answer = await self._link_at(relay, bearer, local)
        config = RelayConfigRequest(
            relay_url=relay,
            relay_issuer=answer.relay_issuer,
            cloud_user_id=answer.cloud_user_id,
            environment_credential=answer.environment_credential,
            cloud_mint_public_key=answer.cloud_mint_public_key,
            endpoint_runtime=answer.endpoint_runtime,
        )
        try:
            await self._link.apply(MACHINE, config, endpoint=answer.endpoint, only_if_wanted=True)
        except NoLongerWanted as error:
            await revoke_at_relay(
                self._outbound, relay=relay, bearer=bearer, environment_id=self._descriptor.environment_id
            )
            raise ReconcileFailed(str(error)) from error
        except LinkRefused as error:
            raise ReconcileFailed(error.message) from error
        except ConnectorRefused as error:
            raise ReconcileFailed(f"Managed endpoint runtime could not be started: {error}") from error
        await self._claim_services(relay, answer.environment_credential)

    async def _claim_for_standing_link(self) -> bool:
        """False when there is no link to claim names under."""
        relay, credential = self._link.relay_origin(), self._link.environment_credential()
        if relay is None or credential is None:
            return False
        await self._claim_services(relay, credential)
        return True

    async def _link_at(self, relay: str, bearer: str, local: Origin) -> LinkResponse:
        headers = {"authorization": f"Bearer {bearer}"}
        wanted = LinkChallengeRequest(
            notifications_enabled=True, live_activities_enabled=True, managed_tunnels_enabled=True
        )
        challenge = await self._post(
            f"{relay}/v1/client/environment-link-challenges", wanted, LinkChallengeResponse, headers
        )
        host = f"[{local.local_http_host}]" if ":" in local.local_http_host else local.local_http_host
        proof = sign_link_proof(
            self._keys.link_key(),
            challenge=challenge.challenge,
            relay_issuer=relay,
            descriptor=self._descriptor,
            endpoint=Endpoint(
                http_base_url=f"http://{host}:{local.local_http_port}",
                ws_base_url=f"ws://{host}:{local.local_http_port}",
                provider_kind="cloudflare_tunnel",
            ),
            origin=local,
            now=self._clock(),
        )
        request = LinkRequest(
            proof=proof,
            notifications_enabled=True,
            live_activities_enabled=True,
            managed_tunnels_enabled=True,
        )
        answer = await self._post(f"{relay}/v1/client/environment-links", request, LinkResponse, headers)
        if answer.environment_id != self._descriptor.environment_id:
            raise ReconcileFailed("Relay returned credentials for a different environment.")
        return answer

    async def _claim_services(self, relay: str, credential: str) -> None:
        """Give every service its public host; a refused name is recorded and does not undo the link."""
        base = f"{relay}/v1/environments/{self._descriptor.environment_id}/services"
        for service in self._services.published():
            try:
                response = await self._outbound.request(
                    "PUT", f"{base}/{service.name}", headers={"authorization": f"Bearer {credential}"}
                )
            except OutboundError as error:
                raise ReconcileFailed(f"T3 Connect relay request failed: {error}") from error
            if response.status == 200:
                claimed = self._decoded(ServiceRegistration, response.body)
                await self._services.claimed(MACHINE, service.name, claimed.url)
            elif response.status in (404, 409, 422):
                # A relay of T3 Connect that is not Doorward's has no names to give, and is no worse a relay for that.
                code = "names_not_offered" if response.status == 404 else _refusal_code(response.body)
                await self._services.refused(MACHINE, service.name, code)
                log.warning("the relay refused the name %s: %s", service.name, code)
            else:
                raise ReconcileFailed(
                    f"T3 Connect relay request failed: it answered {response.status} to the name {service.name}."
                )

    async def _post(self, url: str, body: msgspec.Struct, shape: type[T], headers: dict[str, str]) -> T:
        try:
            response = await self._outbound.json(url, body, headers=headers, timeout=LINK_TIMEOUT_SECONDS)
        except OutboundError as error:
            raise ReconcileFailed(f"T3 Connect relay request failed: {error}") from error
        if response.status != 200:
            said = decode_relay_error(response.body)
            tag = said.__struct_config__.tag if said is not None else "no reason given"
            reason = getattr(said, "reason", "") or ""
            told = f"T3 Connect relay request failed: HTTP {response.status}, {tag} {reason}".rstrip()
            apart = clocks_apart(response, self._clock())
            raise ReconcileFailed(f"{told}. {apart}" if apart else told)
        return self._decoded(shape, response.body)

    def _decoded(self, shape: type[T], body: bytes) -> T:
        try:
            return decode_json(shape, body)
        except SchemaMismatch as error:
            raise ReconcileFailed(f"T3 Connect relay request failed: {error}") from error


def backoff_ceiling(attempts: int) -> float:
    """Seconds: 1, 2, 4, ... 60. The wait is anything below it, so that machines do not come back in step."""
    return float(min(LONGEST_WAIT_SECONDS, 2 ** min(attempts - 1, 10)))


def _refusal_code(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_NameRefusal).code
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "name_refused"

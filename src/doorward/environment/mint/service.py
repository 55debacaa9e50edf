"""Health and mint: verified, consumed once, decided, and answered with a signature.

The order of a mint is part of its safety: the mode is read before any guard is consumed, so that a machine whose mode is
unreadable leaves the relay's request usable, and stays what it is until the decision is taken. Guards and decision are one
transaction: a machine writes to its disk once a mint.
"""

import logging
import uuid

from doorward.environment.approvals.mode import SecurityModeUnreadable
from doorward.environment.approvals.rules import Knock
from doorward.environment.approvals.service import Approvals, Decision, RequestRepeated
from doorward.environment.keys import Keys, SecretStoreFailed
from doorward.environment.link.errors import LinkRefused
from doorward.environment.link.service import Link, LinkedRelay
from doorward.environment.mint.rules import RequestRefused, read_health_request, read_mint_request
from doorward.environment.replay import ReplayGuards, relay_guards
from doorward.jose import JoseError
from doorward.metering import MACHINE_MINTS
from doorward.store import Clock, StoreError
from doorward.t3_connect import environment_issuer, iso, known, normalize_issuer, sign_t3_jwt
from doorward.t3_connect.claims import (
    TYP_HEALTH_RESPONSE,
    TYP_MINT_RESPONSE,
    HealthResponseClaims,
    MintAuthorizedClaims,
    MintPendingClaims,
    MintRequestClaims,
)
from doorward.t3_connect.messages import Descriptor, HealthResponse, MintAuthorized, MintPending

log = logging.getLogger(__name__)

ANSWER_LIFETIME_SECONDS = 300
UNREADABLE_MODE = "Failed to read Connect security mode."


class Mint:
    """Raises LinkRefused with the protocol's kinds and messages; nothing else leaves it."""

    def __init__(
        self,
        *,
        clock: Clock,
        keys: Keys,
        link: Link,
        approvals: Approvals,
        guards: ReplayGuards,
        descriptor: Descriptor,
    ) -> None:
        self._clock = clock
        self._keys = keys
        self._link = link
        self._approvals = approvals
        self._guards = guards
        self._descriptor = descriptor

    async def health(self, proof: str) -> HealthResponse:
        relay = self._link.linked_relay()
        now = self._clock()
        environment_id = self._descriptor.environment_id
        try:
            request = read_health_request(proof, relay, environment_id=environment_id, now=now // 1000)
        except RequestRefused as error:
            log.info("a health request was refused: %s", error)
            raise LinkRefused("unauthorized", "Invalid cloud health request.") from error
        try:
            is_fresh = await self._guards.consume(
                *relay_guards("health", jti=request.jti, nonce=request.nonce)
            )
        except StoreError as error:
            raise LinkRefused("internal", "Could not answer cloud health request.") from error
        if not is_fresh:
            raise LinkRefused("conflict", "Cloud health request was already consumed.")
        checked_at = iso(now)
        claims = HealthResponseClaims(
            iss=environment_issuer(environment_id),
            aud=normalize_issuer(relay.issuer),
            sub=environment_id,
            jti=str(uuid.uuid4()),
            iat=now // 1000,
            exp=now // 1000 + ANSWER_LIFETIME_SECONDS,
            environment_id=environment_id,
            request_nonce=request.nonce,
            status="online",
            descriptor=self._descriptor,
            checked_at=checked_at,
        )
        return HealthResponse(
            environment_id=environment_id,
            status="online",
            descriptor=self._descriptor,
            checked_at=checked_at,
            proof=self._sign(claims, TYP_HEALTH_RESPONSE, "Failed to sign cloud health JWT."),
        )

    async def mint(self, proof: str) -> MintAuthorized | MintPending:
        relay, revision = self._link.linked_relay(), self._link.revision
        now = self._clock()
        try:
            request = read_mint_request(
                proof, relay, environment_id=self._descriptor.environment_id, now=now // 1000
            )
        except RequestRefused as error:
            log.info("a mint request was refused: %s", error)
            MACHINE_MINTS.add("refused")
            raise LinkRefused("unauthorized", "Invalid cloud mint request.") from error
        decision = await self._decide(request, revision)
        if decision.link is not None:
            self._require_unchanged(relay, decision)
        MACHINE_MINTS.add("authorized" if decision.link is not None else decision.status)
        return self._answer(request, decision, issuer=relay.issuer, now=now)

    async def _decide(self, request: MintRequestClaims, revision: int) -> Decision:
        client = known(request.client)
        knock = Knock(
            thumbprint=request.client_proof_key_thumbprint,
            cloud_user_id=request.sub,
            device_id=known(request.device_id),
            label=known(client.label) if client is not None else None,
            device_type=(known(client.device_type) if client is not None else None) or "unknown",
            os=known(client.os) if client is not None else None,
        )
        guards = relay_guards("mint", jti=request.jti, nonce=request.nonce)
        try:
            return await self._approvals.decide(
                knock,
                use_up=self._guards.consuming(*guards),
                require_still_linked=lambda: self._require_still_linked(revision),
            )
        except RequestRepeated as error:
            raise LinkRefused("conflict", "Cloud mint request was already consumed.") from error
        except SecurityModeUnreadable as error:
            raise LinkRefused("internal", UNREADABLE_MODE) from error
        except StoreError as error:
            raise LinkRefused("internal", "Could not issue cloud connection credential.") from error

    def _require_still_linked(self, revision: int) -> None:
        """The owner may have unlinked since the request was verified: then nothing is minted for it any more."""
        if self._link.revision != revision:
            raise LinkRefused("unauthorized", "Invalid cloud mint request.")

    def _require_unchanged(self, relay: LinkedRelay, decision: Decision) -> None:
        """A credential is told to nobody when the files it rests on have changed, by another process, which `revision`
        does not tell: a CLI that got no answer of this one.

        Whoever unlinks or requires approval changes the files first and then ends, in one transaction, what is held. So a
        credential older than that transaction ends with it, and with a younger one the change is seen here.
        """
        try:
            is_same = self._link.linked_relay() == relay and self._approvals.mode() == decision.mode
        except (LinkRefused, SecurityModeUnreadable):
            is_same = False
        if not is_same:
            raise LinkRefused("unauthorized", "Invalid cloud mint request.")

    def _answer(
        self, request: MintRequestClaims, decision: Decision, *, issuer: str, now: int
    ) -> MintAuthorized | MintPending:
        environment_id = self._descriptor.environment_id
        thumbprint = request.client_proof_key_thumbprint
        issued_at = now // 1000
        link = decision.link
        if link is not None:
            authorized = MintAuthorizedClaims(
                iss=environment_issuer(environment_id),
                aud=normalize_issuer(issuer),
                sub=environment_id,
                jti=str(uuid.uuid4()),
                iat=issued_at,
                exp=link.expires_at // 1000,
                environment_id=environment_id,
                client_proof_key_thumbprint=thumbprint,
                request_nonce=request.nonce,
                credential=link.credential,
            )
            return MintAuthorized(
                credential=link.credential,
                expires_at=iso(link.expires_at),
                proof=self._sign(authorized, TYP_MINT_RESPONSE, "Failed to sign cloud mint JWT."),
            )
        if decision.client is None:
            # No credential and no row cannot be: fail closed rather than invent a request to approve.
            raise LinkRefused("internal", "Could not issue cloud connection credential.")
        requested_at = iso(decision.client.requested_at)
        pending = MintPendingClaims(
            iss=environment_issuer(environment_id),
            aud=normalize_issuer(issuer),
            sub=environment_id,
            jti=str(uuid.uuid4()),
            iat=issued_at,
            exp=issued_at + ANSWER_LIFETIME_SECONDS,
            environment_id=environment_id,
            client_proof_key_thumbprint=thumbprint,
            request_nonce=request.nonce,
            status="pending_approval",
            approval_status=decision.status,
            requested_at=requested_at,
        )
        return MintPending(
            status="pending_approval",
            client_proof_key_thumbprint=thumbprint,
            approval_status=decision.status,
            requested_at=requested_at,
            proof=self._sign(pending, TYP_MINT_RESPONSE, "Failed to sign cloud mint JWT."),
        )

    def _sign(
        self, claims: HealthResponseClaims | MintAuthorizedClaims | MintPendingClaims, typ: str, message: str
    ) -> str:
        try:
            return sign_t3_jwt(claims, self._keys.link_key(), typ=typ)
        except (SecretStoreFailed, JoseError) as error:
            raise LinkRefused("internal", message) from error

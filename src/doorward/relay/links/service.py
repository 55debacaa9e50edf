"""Making, ending and listing links."""

import logging
from collections.abc import Collection

import msgspec

from doorward.relay.audit.store import Origin, record
from doorward.relay.credentials import store as credential_store
from doorward.relay.credentials.rules import new_credential
from doorward.relay.endpoints import store as endpoint_store
from doorward.relay.endpoints.provider import (
    EndpointError,
    EndpointProvider,
    EndpointsNotConfigured,
    OriginNotLoopback,
    Prepared,
    Provisioned,
    ProvisionRequest,
    TunnelLimitReached,
)
from doorward.relay.link_notices.service import noted
from doorward.relay.links import rules, store
from doorward.relay.links.challenge import IssuedChallenge, issue_link_challenge
from doorward.relay.links.directory import ListedEnvironment, linked_environments
from doorward.relay.links.errors import (
    EndpointNotRemoved,
    EndpointUnavailable,
    LinkNotStored,
    LinkProofInvalid,
    LinkRefused,
    Stage,
    TooManyTunnels,
)
from doorward.relay.replay import store as replay_store
from doorward.relay.replay.rules import LINK_CHALLENGE_OWNER, environment_key_owner, jwt_expiry_ms
from doorward.relay.services import store as service_store
from doorward.relay.settings import RelaySettings
from doorward.relay.tokens.rules import TokenSigner
from doorward.spans import traced
from doorward.store import Clock, Database, StoreError, Tx
from doorward.t3_connect.messages import ManagedProvider

logger = logging.getLogger("doorward.relay")


class LinkWish(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str
    proof: str
    capabilities: store.Capabilities
    device_id: str | None
    provider: ManagedProvider | None = None


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """A link just made. `credential` and the connector token inside `provisioned` are shown this once."""

    link: store.LinkRow
    credential: str
    provisioned: Provisioned | None

    def __repr__(self) -> str:
        return f"Linked(environment_id={self.link.environment_id!r})"


class Links:
    def __init__(
        self,
        settings: RelaySettings,
        database: Database,
        signer: TokenSigner,
        provider: EndpointProvider,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._signer = signer
        self._provider = provider
        self._clock = clock

    def issue_challenge(
        self, user_id: str, capabilities: store.Capabilities, *, supported: Collection[str] = ()
    ) -> IssuedChallenge:
        """`supported` are the kinds of connector that the environment's host says it runs."""
        return issue_link_challenge(
            self._signer,
            user_id=user_id,
            capabilities=capabilities,
            now=self._clock(),
            provider=rules.chosen_provider(capabilities, supported, self._settings),
        )

    @traced("relay.environment_linker.link")
    async def link(self, wish: LinkWish, origin: Origin) -> Linked:
        """Verify the proof, burn both nonces, then write everything at once. Raises the tree of `links.errors`.

        The nonces are burnt before anything is provisioned: whatever fails later needs a new challenge, so a proof
        seen in transit is never worth a second try.
        """
        now = self._clock()
        verified = rules.verify_link_proof(
            wish.proof,
            user_id=wish.user_id,
            wanted=wish.capabilities,
            signer=self._signer,
            now=now,
            provider=wish.provider,
        )
        await self._consume(verified, now)
        prepared = await self._prepare(wish, verified)
        if prepared is None and self._settings.strict_base:
            endpoint = verified.proof.endpoint
            rules.check_endpoint_is_secure(endpoint.http_base_url, endpoint.ws_base_url)
        return await self._write(wish, verified, prepared, origin, now)

    async def _consume(self, verified: rules.VerifiedLinkProof, now: int) -> None:
        proof, challenge = verified.proof, verified.challenge
        nonces = (
            (environment_key_owner(proof.environment_public_key), proof.jti, proof.iat),
            (LINK_CHALLENGE_OWNER, challenge.jti, challenge.iat),
        )
        # The challenge may outlive the proof by its own tolerance, so both are kept as long as the longer-lived.
        expires_at = max(jwt_expiry_ms(iat=token.iat, exp=token.exp) for token in (proof, challenge))

        def consume(tx: Tx) -> list[bool]:
            return [
                replay_store.consume(tx, owner=owner, jti=jti, iat=iat, expires_at=expires_at, now=now)
                for owner, jti, iat in nonces
            ]

        try:
            proof_is_new, challenge_is_new = await self._database.write(consume)
        except StoreError as error:
            raise LinkNotStored("replay") from error
        if not proof_is_new:
            raise LinkProofInvalid("replayed_nonce")
        if not challenge_is_new:
            raise LinkProofInvalid("challenge_invalid")

    async def _prepare(self, wish: LinkWish, verified: rules.VerifiedLinkProof) -> Prepared | None:
        if not wish.capabilities.managed_tunnels_enabled:
            return None
        origin = verified.proof.origin
        rules.check_local_origin(origin.local_http_host, origin.local_http_port)
        request = ProvisionRequest(
            user_id=wish.user_id,
            environment_id=verified.proof.environment_id,
            local_host=origin.local_http_host,
            local_port=origin.local_http_port,
            kind=verified.provider,
        )
        try:
            return await self._provider.prepare(request)
        except EndpointError as error:
            raise _refusal(error) from error

    async def _write(
        self,
        wish: LinkWish,
        verified: rules.VerifiedLinkProof,
        prepared: Prepared | None,
        origin: Origin,
        now: int,
    ) -> Linked:
        proof = verified.proof
        credential = new_credential()
        stage: Stage = "endpoint"

        def write(tx: Tx) -> Linked:
            nonlocal stage
            stage = "endpoint"
            provisioned = None if prepared is None else prepared.record(tx, now=now)
            if provisioned is None:
                self._close_endpoint(tx, wish.user_id, proof.environment_id, now)
            link = _link_row(wish.user_id, verified, provisioned, origin, now)
            if provisioned is not None:
                rules.check_endpoint_is_secure(link.http_base_url, link.ws_base_url)
            stage = "link"
            link = noted(tx, link, now=now)
            store.upsert(tx, link, wish.capabilities, device_id=wish.device_id, now=now)
            stage = "credential"
            owner = credential_store.CredentialOwner(
                wish.user_id, link.environment_id, link.environment_public_key
            )
            credential_store.insert(tx, credential, owner, now=now)
            credential_store.revoke_older(tx, kept_id=credential.credential_id, owner=owner, now=now)
            record(
                tx,
                at=now,
                actor=wish.user_id,
                action="link.made",
                object_id=link.environment_id,
                origin=origin,
                detail={"credential": credential.credential_id, "endpoint": link.http_base_url},
            )
            if provisioned is not None:
                tx.notify("relay.hostnames", provisioned.tunnel_id)
            return Linked(link=link, credential=credential.token, provisioned=provisioned)

        try:
            linked = await self._database.write(write)
        except BaseException as error:
            if prepared is not None:
                await prepared.abandon()
            if isinstance(error, EndpointError):
                raise _refusal(error) from error
            if isinstance(error, StoreError):
                raise (
                    EndpointUnavailable(is_configured=True) if stage == "endpoint" else LinkNotStored(stage)
                ) from error
            raise
        if prepared is None:
            await self._tear_down_if_possible(wish.user_id, proof.environment_id)
        return linked

    def _close_endpoint(self, tx: Tx, user_id: str, environment_id: str, now: int) -> bool:
        allocation = endpoint_store.find(tx, user_id=user_id, environment_id=environment_id)
        return allocation is not None and self._provider.close(tx, allocation, now=now)

    async def _tear_down_if_possible(self, user_id: str, environment_id: str) -> None:
        """The link without tunnel is made either way; what an earlier one left is removed now or by the census."""
        try:
            await self._provider.tear_down(user_id=user_id, environment_id=environment_id)
        except EndpointError as error:
            logger.warning("An earlier endpoint of a link could not be removed: %s", error)

    async def unlink(self, *, user_id: str, environment_id: str, origin: Origin) -> bool:
        """End the caller's link, its tunnel, its names and, with the key's last link, its credentials.

        True when an active link ended now. The endpoint is removed even when there was none: that finishes whatever
        an earlier attempt left behind. The link has ended when `EndpointNotRemoved` is raised.
        """
        now = self._clock()

        def write(tx: Tx) -> bool:
            link = store.find_active(tx, user_id=user_id, environment_id=environment_id)
            allocation = endpoint_store.find(tx, user_id=user_id, environment_id=environment_id)
            is_revoked = link is not None and store.revoke(
                tx, user_id=user_id, environment_id=environment_id, now=now
            )
            closed = allocation is not None and self._provider.close(tx, allocation, now=now)
            freed = service_store.release_all(tx, user_id=user_id, environment_id=environment_id, now=now)
            if link is not None:
                credential_store.revoke_unlinked(
                    tx,
                    environment_id=environment_id,
                    environment_public_key=link.environment_public_key,
                    now=now,
                )
            if is_revoked or closed or freed:
                record(
                    tx,
                    at=now,
                    actor=user_id,
                    action="link.revoked",
                    object_id=environment_id,
                    origin=origin,
                )
                if allocation is not None and allocation.tunnel_id is not None:
                    tx.notify("relay.hostnames", allocation.tunnel_id)
            return is_revoked

        ended = await self._database.write(write)
        try:
            await self._provider.tear_down(user_id=user_id, environment_id=environment_id)
        except EndpointError as error:
            logger.warning("The endpoint of an ended link is still there: %s", error)
            raise EndpointNotRemoved from error
        return ended

    async def list(self, user_id: str) -> list[ListedEnvironment]:
        """The caller's active links, oldest first."""
        return await linked_environments(self._database, user_id)


def _refusal(error: EndpointError) -> LinkRefused:
    match error:
        case OriginNotLoopback():
            return LinkProofInvalid("origin_not_allowed")
        case TunnelLimitReached(max_tunnels=limit):
            return TooManyTunnels(limit)
        case EndpointsNotConfigured():
            return EndpointUnavailable(is_configured=False)
        case _:
            logger.warning("An endpoint could not be provisioned: %s", error)
            return EndpointUnavailable(is_configured=True)


def _link_row(
    user_id: str,
    verified: rules.VerifiedLinkProof,
    provisioned: Provisioned | None,
    origin: Origin,
    now: int,
) -> store.LinkRow:
    proof = verified.proof
    managed = None if provisioned is None else provisioned.urls
    return store.LinkRow(
        user_id=user_id,
        environment_id=proof.environment_id,
        environment_label=proof.descriptor.label,
        environment_public_key=proof.environment_public_key,
        http_base_url=managed.http if managed else proof.endpoint.http_base_url,
        ws_base_url=managed.ws if managed else proof.endpoint.ws_base_url,
        provider_kind=proof.endpoint.provider_kind if provisioned is None else provisioned.kind,
        created_at=now,
        made_at=now,
        made_from=origin.source,
    )

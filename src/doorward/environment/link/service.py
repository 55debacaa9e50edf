"""The link as it is stored: apply what the relay answered, show it, undo it (connect-environment §2.7, §2.8)."""

import asyncio
import logging
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec

from doorward.environment.access import Action, Actor, require
from doorward.environment.approvals.mode import SecurityMode, SecurityModes, SecurityModeUnreadable
from doorward.environment.audit import record
from doorward.environment.keys import SecretStore, SecretStoreFailed, names
from doorward.environment.link.errors import LinkRefused
from doorward.environment.link.supervisor import ConnectorRefused, Supervisor
from doorward.environment.services.published import hostname
from doorward.jose import JoseError
from doorward.store import Clock, Database, Tx
from doorward.t3_connect import InsecureOrigin, known, public_key_from_pem, secure_origin
from doorward.t3_connect.messages import (
    Endpoint,
    EndpointRuntime,
    EndpointRuntimeStatus,
    LinkState,
    RelayConfigRequest,
)
from doorward.tunnel import ConnectorToken, InvalidConnectorToken

log = logging.getLogger(__name__)

#: Carries the action that changed the link.
CHANNEL = "environment.link"


class NoLongerWanted(Exception):
    """The owner unlinked while a link was being made: theirs is the last word."""

    code = "no_longer_wanted"


class LinkedRelay(msgspec.Struct, frozen=True, kw_only=True):
    """What verifying a relay's request needs."""

    mint_key: str
    issuer: str
    user_id: str


class Link:
    """Raises LinkRefused, ConnectorRefused, NotAllowed."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        secrets: SecretStore,
        modes: SecurityModes,
        supervisor: Supervisor,
    ) -> None:
        self._database = database
        self._clock = clock
        self._secrets = secrets
        self._modes = modes
        self._supervisor = supervisor
        self._changing = asyncio.Lock()
        #: Another number once this process began to change the link. Whoever waits after reading it can tell by this.
        self.revision = 0
        self._api_origin: str | None = None

    def load(self) -> None:
        """Learn this machine's own public host from what is stored."""
        try:
            self._api_origin = _api_origin(self._endpoint(), self.stored_runtime())
        except SecretStoreFailed:
            log.warning("the stored endpoint could not be read", exc_info=True)

    def api_origin(self) -> str | None:
        """The origin of this machine's API host, once linked."""
        return self._api_origin

    def is_api_host(self, host: str) -> bool:
        """Whether a `Host` value names this machine's API host."""
        if self._api_origin is None:
            return False
        try:
            return hostname(host) == hostname(self._api_origin.partition("://")[2])
        except ValueError:
            return False

    def linked_relay(self) -> LinkedRelay:
        """The relay whose signed requests count. Raises LinkRefused naming the missing piece."""
        mint_key = self._required(
            names.MINT_PUBLIC_KEY, "Cloud mint public key is not installed for this environment."
        )
        missing_issuer = "Cloud relay issuer is not installed for this environment."
        try:
            issuer = self._secrets.get_text(names.RELAY_ISSUER)
        except SecretStoreFailed as error:
            raise LinkRefused("internal", missing_issuer) from error
        if issuer is None:
            issuer = self._required(names.RELAY_URL, missing_issuer)
        try:
            user_id = self._secrets.get_text(names.LINKED_USER)
        except SecretStoreFailed as error:
            raise LinkRefused("internal", "Could not read the linked cloud account.") from error
        if user_id is None:
            raise LinkRefused("internal", "Cloud linked user is not installed for this environment.")
        return LinkedRelay(mint_key=mint_key, issuer=issuer, user_id=user_id)

    def environment_credential(self) -> str | None:
        """The bearer this machine uses towards the relay; None when it is not linked."""
        return self._secrets.get_text(names.ENVIRONMENT_CREDENTIAL)

    def relay_origin(self) -> str | None:
        """The relay this machine is linked to."""
        return self._secrets.get_text(names.RELAY_URL)

    def is_wanted(self) -> bool:
        """Whether `connect link` asked for a link: the secret's presence, not its value."""
        return self._secrets.get(names.DESIRED_LINK) is not None

    def want(self) -> None:
        self._secrets.set(names.DESIRED_LINK, b"true")

    async def ask_for(self, actor: Actor) -> None:
        """Want the link because somebody pressed for it. Raises NotAllowed, SecretStoreFailed."""
        require(actor, Action.LINK)
        self.want()
        await self._audit(actor, "link.want", "", "")

    def stored_runtime(self) -> EndpointRuntime | None:
        """The connector configuration of the last link; an undecodable one counts as none."""
        stored = self._secrets.get(names.ENDPOINT_RUNTIME)
        if stored is None:
            return None
        try:
            return msgspec.json.decode(stored, type=EndpointRuntime)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            log.warning("the stored connector configuration cannot be read; the tunnel stays down")
            return None

    async def resume(self) -> EndpointRuntimeStatus:
        """Start the connector of the last link, unless a newer one runs."""
        async with self._changing:
            return await self._supervisor.apply(self.stored_runtime())

    async def apply(
        self,
        actor: Actor,
        config: RelayConfigRequest,
        *,
        endpoint: Endpoint | None = None,
        only_if_wanted: bool = False,
    ) -> EndpointRuntimeStatus:
        """Check, start the connector, then store: all of it, or nothing and the connector as before.

        `only_if_wanted` raises NoLongerWanted when the link was undone since it was asked for.
        """
        require(actor, Action.LINK)
        relay_url = _secure(config.relay_url, "Relay URL must be a secure absolute HTTPS URL.")
        given_issuer = known(config.relay_issuer)
        issuer = (
            relay_url
            if given_issuer is None
            else _secure(given_issuer, "Relay issuer must be a secure absolute HTTPS URL.")
        )
        if not config.environment_credential.strip():
            raise LinkRefused("bad_request", "Relay environment credential is required.")
        user_id = config.cloud_user_id.strip()
        if not user_id:
            raise LinkRefused("bad_request", "Cloud user id is required.")
        async with self._changing:
            if only_if_wanted and not self.is_wanted():
                raise NoLongerWanted("The link was undone while it was being made.")
            self._require_same_account(user_id)
            mint_key = config.cloud_mint_public_key.replace("\\n", "\n").strip()
            try:
                public_key_from_pem(mint_key)
            except (JoseError, ValueError) as error:
                raise LinkRefused(
                    "bad_request", "Cloud mint public key must be a valid Ed25519 public key."
                ) from error
            previous = self._supervisor.config
            status = await self._supervisor.apply(config.endpoint_runtime)
            if status.status not in ("disabled", "running"):
                await self._supervisor.apply(previous)
                raise ConnectorRefused(status)
            self.revision += 1
            before: dict[str, bytes | None] = {}
            try:
                before = {name: self._secrets.get(name) for name in names.LINK_SECRETS}
                self._secrets.set(names.RELAY_URL, relay_url.encode())
                self._secrets.set(names.RELAY_ISSUER, issuer.encode())
                self._secrets.set(names.LINKED_USER, user_id.encode())
                self._secrets.set(
                    names.ENVIRONMENT_CREDENTIAL, config.environment_credential.strip().encode()
                )
                self._secrets.set(names.MINT_PUBLIC_KEY, mint_key.encode())
                self._store_or_remove(names.ENDPOINT_RUNTIME, config.endpoint_runtime)
                self._store_or_remove(names.MANAGED_ENDPOINT, endpoint)
            except SecretStoreFailed as error:
                self._put_back(before)
                await self._supervisor.apply(previous)
                raise LinkRefused("internal", "Could not persist environment relay configuration.") from error
            self._api_origin = _api_origin(endpoint, config.endpoint_runtime)
        await self._audit(actor, "link.apply", user_id, relay_url)
        return status

    async def unlink(self, actor: Actor) -> EndpointRuntimeStatus:
        """Stop the connector and forget the link; keys, mode, clients, sessions and the CLI's token stay."""
        require(actor, Action.UNLINK)
        async with self._changing:
            status = await self._supervisor.apply(None)
            self.revision += 1
            try:
                for name in names.LINK_SECRETS:
                    self._secrets.remove(name)
                self._secrets.remove(names.DESIRED_LINK)
            except SecretStoreFailed as error:
                raise LinkRefused("internal", "Could not remove environment relay configuration.") from error
            self._api_origin = None
        await self._audit(actor, "link.remove", "", "")
        return status

    def state(self, actor: Actor) -> LinkState:
        """An unreadable mode is None here, never `account`."""
        require(actor, Action.SEE_LINK)
        return self._state()

    async def prefer(self, actor: Actor, *, publish_agent_activity: bool) -> LinkState:
        require(actor, Action.LINK)
        try:
            self._secrets.set(names.PUBLISH_ACTIVITY, b"true" if publish_agent_activity else b"false")
        except SecretStoreFailed as error:
            raise LinkRefused("internal", "Could not persist environment cloud preferences.") from error
        return self._state()

    def _state(self) -> LinkState:
        try:
            user_id = self._secrets.get_text(names.LINKED_USER)
            return LinkState(
                linked=user_id is not None,
                cloud_user_id=user_id,
                relay_url=self._secrets.get_text(names.RELAY_URL),
                relay_issuer=self._secrets.get_text(names.RELAY_ISSUER),
                publish_agent_activity=self._secrets.get_text(names.PUBLISH_ACTIVITY) == "true",
                connect_security_mode=self._mode(),
            )
        except SecretStoreFailed as error:
            raise LinkRefused("internal", "Could not read environment relay configuration.") from error

    def _mode(self) -> SecurityMode | None:
        try:
            return self._modes.read()
        except SecurityModeUnreadable:
            return None

    def _require_same_account(self, user_id: str) -> None:
        try:
            linked = self._secrets.get_text(names.LINKED_USER)
        except SecretStoreFailed as error:
            raise LinkRefused("internal", "Could not verify the linked cloud account.") from error
        if linked is not None and linked != user_id:
            raise LinkRefused(
                "conflict",
                "This environment is already linked to a different cloud account."
                " Unlink it before switching accounts.",
            )

    def _endpoint(self) -> Endpoint | None:
        stored = self._secrets.get(names.MANAGED_ENDPOINT)
        if stored is None:
            return None
        try:
            return msgspec.json.decode(stored, type=Endpoint)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def _store_or_remove(self, name: str, value: msgspec.Struct | None) -> None:
        if value is None:
            self._secrets.remove(name)
        else:
            self._secrets.set(name, msgspec.json.encode(value))

    def _put_back(self, before: dict[str, bytes | None]) -> None:
        """After a write that failed: a link is the old one or the new one, and never some of each."""
        for name, content in before.items():
            with suppress(SecretStoreFailed):
                if content is None:
                    self._secrets.remove(name)
                else:
                    self._secrets.set(name, content)

    def _required(self, name: str, message: str) -> str:
        try:
            value = self._secrets.get_text(name)
        except SecretStoreFailed as error:
            raise LinkRefused("internal", message) from error
        if value is None:
            raise LinkRefused("internal", message)
        return value

    async def _audit(self, actor: Actor, action: str, object_: str, detail: str) -> None:
        now = self._clock()

        def write(tx: Tx) -> None:
            record(tx, actor, action, object_, now=now, detail=detail)
            tx.notify(CHANNEL, action)

        await self._database.write(write)


def _secure(url: str, message: str) -> str:
    try:
        return secure_origin(url)
    except InsecureOrigin as error:
        raise LinkRefused("bad_request", message) from error


def _api_origin(endpoint: Endpoint | None, runtime: EndpointRuntime | None) -> str | None:
    """The endpoint the relay named; else, for a link made by a browser, what the connector token says."""
    if endpoint is not None:
        parts = urlsplit(endpoint.http_base_url)
        return f"{parts.scheme}://{parts.netloc.lower()}"
    if runtime is None:
        return None
    try:
        token = ConnectorToken.decode(runtime.connector_token)
        edge = urlsplit(token.edge_url)
        port = f":{edge.port}" if edge.port else ""
    except (InvalidConnectorToken, ValueError):
        return None
    if not token.hostnames:
        return None
    scheme = "https" if edge.scheme in ("https", "wss") else "http"
    return f"{scheme}://{token.hostnames[0].lower()}{port}"

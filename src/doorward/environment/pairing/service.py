"""Create, list and revoke pairing credentials. Consuming one is `sessions.service.exchange`: it makes the session."""

from doorward.environment.access import MACHINE, Action, Actor, require
from doorward.environment.audit import record
from doorward.environment.pairing import store
from doorward.environment.pairing.rules import SUBJECT_BOOTSTRAP, PairingLink, new_link
from doorward.environment.stream.events import PairingLinkChanged, PairingLinkRemoved, announce
from doorward.store import Clock, Database, Tx
from doorward.t3_connect.scopes import ADMINISTRATIVE_SCOPES

ONE_TIME_LINK_LIFETIME_MS = 30 * 60_000


class Pairing:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        #: The port pages are served at; the composition sets it once the listener is up.
        self.port = 0

    async def create(self, actor: Actor, *, scopes: tuple[str, ...], label: str | None) -> PairingLink:
        """A credential for another client: five minutes, used once. Raises NotAllowed."""
        require(actor, Action.PAIR)
        link = new_link(now=self._clock(), scopes=scopes, label=label)
        await self._store(actor, link)
        return link

    async def one_time_link(
        self, actor: Actor = MACHINE, *, lifetime_ms: int = ONE_TIME_LINK_LIFETIME_MS
    ) -> str:
        """The URL that opens the owner's page on this machine, once, within half an hour.

        The credential sits in the fragment: it reaches no server log and no Referer. Raises NotAllowed.
        """
        require(actor, Action.PAIR)
        link = new_link(
            now=self._clock(),
            lifetime_ms=lifetime_ms,
            subject=SUBJECT_BOOTSTRAP,
            scopes=ADMINISTRATIVE_SCOPES,
        )
        await self._store(actor, link)
        return f"http://machine.localhost:{self.port}/connections/open#token={link.credential}"

    async def list(self, actor: Actor) -> list[PairingLink]:
        """Usable credentials, newest first, without the owner's own."""
        require(actor, Action.SEE_PAIRING)
        now = self._clock()
        return await self._database.read(lambda tx: store.list_active(tx, now))

    async def revoke(self, actor: Actor, link_id: str) -> bool:
        """False when there is no such usable credential."""
        require(actor, Action.PAIR)
        now = self._clock()

        def revoke(tx: Tx) -> bool:
            is_revoked = store.revoke(tx, link_id, now)
            if is_revoked:
                announce(tx, PairingLinkRemoved(link_id))
                record(tx, actor, "pairing.revoke", link_id, now=now)
            return is_revoked

        return await self._database.write(revoke)

    async def _store(self, actor: Actor, link: PairingLink) -> None:
        def insert(tx: Tx) -> None:
            store.insert(tx, link)
            announce(tx, PairingLinkChanged(link))
            record(tx, actor, "pairing.create", link.id, now=link.created_at, detail=link.subject)

        await self._database.write(insert)

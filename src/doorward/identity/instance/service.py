"""Reading and changing the instance's settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from doorward.identity.audit import store as audit
from doorward.identity.errors import FORM_INVALID_ORIGIN, FORM_PARAM_ARRAY_SIZE_EXCEEDED, Refused
from doorward.identity.instance import rules, store
from doorward.identity.instance.rules import InstanceSettings, SignUpMode
from doorward.identity.settings import IdentitySettings
from doorward.store import Clock, Database, Tx

_CONFIGURED: dict[str, SignUpMode] = {"open": "public", "invite-only": "restricted", "waitlist": "waitlist"}


class Instance:
    """The settings in memory, kept current by the channel `identity.instance`."""

    def __init__(
        self, settings: IdentitySettings, database: Database, clock: Clock, instance_id: str
    ) -> None:
        self._configured: SignUpMode = _CONFIGURED[settings.sign_up]
        self._database = database
        self._clock = clock
        self._id = instance_id
        self._current = InstanceSettings()

    async def prepare(self) -> None:
        """Make the row at the first start, and read it."""
        now = self._clock()
        await self._database.write(lambda tx: store.plant(tx, now))
        await self.reload()

    async def reload(self) -> None:
        self._current = await self._database.read(store.settings)

    async def follow(self) -> None:
        """Reload whenever any node changes the settings; runs until cancelled."""
        async with self._database.subscribe(store.CHANNEL) as events:
            await self.reload()  # a change between prepare() and the subscription was told to nobody
            async for _ in events:
                await self.reload()

    @property
    def id(self) -> str:
        """`ins_…`."""
        return self._id

    @property
    def current(self) -> InstanceSettings:
        """As this node knows them; another node's change arrives within moments."""
        return self._current

    @property
    def sign_up_mode(self) -> SignUpMode:
        return self._current.sign_up_mode or self._configured

    def sign_up_mode_in(self, settings: InstanceSettings) -> SignUpMode:
        """Of settings read in a transaction."""
        return settings.sign_up_mode or self._configured

    async def change(self, what: str, actor: str, **changes: object) -> InstanceSettings:
        """Set members and tell every node. `what` names the change in the audit trail."""
        return await self.change_by(what, actor, lambda _, settings: replace(settings, **changes))

    async def change_by(
        self, what: str, actor: str, edit: Callable[[Tx, InstanceSettings], InstanceSettings]
    ) -> InstanceSettings:
        """The same, for an edit that has to look at other rows; it may raise Refused."""
        now = self._clock()

        def work(tx: Tx) -> InstanceSettings:
            before = store.settings(tx)
            after = edit(tx, before)
            if after != before:
                store.put(tx, after, now)
                audit.record(tx, now=now, actor=actor, action=f"{what}.changed", object_id=self._id)
            return after

        changed = await self._database.write(work)
        await self.reload()
        return changed


def require_origins(origins: Sequence[str]) -> tuple[str, ...]:
    """The list without repetitions. Raises Refused (422) for what is no origin."""
    if len(origins) > rules.MAX_ORIGINS:
        sentence = f"There are at most {rules.MAX_ORIGINS} allowed origins."
        raise Refused(FORM_PARAM_ARRAY_SIZE_EXCEEDED.at("allowed_origins", long_message=sentence))
    for origin in origins:
        if not rules.is_origin(origin):
            raise Refused(
                FORM_INVALID_ORIGIN.at(
                    "allowed_origins",
                    long_message=f"{origin[:100]!r} is not an origin: give scheme, host and port, with no path.",
                )
            )
    return tuple(dict.fromkeys(origins))

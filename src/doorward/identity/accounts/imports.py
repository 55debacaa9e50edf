"""Taking over many users of another system: a batch is one transaction, and each user of it is made, known already or refused.

A batch that is sent again makes nobody twice: a user is recognised by the external id, or by an address of theirs. The
rules are those of `Administration.create`; what differs is that a few statements serve the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from doorward.identity.accounts import foreign_hashes, store
from doorward.identity.accounts.administration import Administration, taken
from doorward.identity.accounts.new_accounts import NewUser, new_account, with_password
from doorward.identity.accounts.owners import Owners
from doorward.identity.accounts.store import Account
from doorward.identity.audit import store as audit
from doorward.identity.errors import OVERLOADED, Problem, Refused
from doorward.identity.webhooks import outbox
from doorward.identity.webhooks.events import Events
from doorward.store import Clock, ConstraintViolated, Database, Tx

MAX_BATCH = 500
_ATTEMPTS = 3
_PLACES = 64


class Made(msgspec.Struct, frozen=True):
    user_id: str


class Known(msgspec.Struct, frozen=True):
    """Was here before, and stays as it is."""

    user_id: str


class NotMade(msgspec.Struct, frozen=True):
    problems: tuple[Problem, ...]


class PasswordHash(msgspec.Struct, frozen=True):
    """As `stored_digest` takes it."""

    user_id: str
    hasher: str
    digest: str

    def __repr__(self) -> str:
        return f"PasswordHash({self.user_id})"


Outcome: TypeAlias = Made | Known | NotMade


class Imports:
    """`actor` is the id of the secret key that asks."""

    def __init__(
        self, database: Database, clock: Clock, *, administration: Administration, events: Events
    ) -> None:
        self._database = database
        self._clock = clock
        self._administration = administration
        self._events = events

    async def take_over(
        self, wishes: Sequence[NewUser | NotMade], *, is_rehearsal: bool = False, actor: str
    ) -> list[Outcome]:
        """One outcome for each wish, in order; what is refused already stays so. A rehearsal tells them and makes nobody."""
        now = self._clock()
        accounts = [
            wish if isinstance(wish, NotMade) else await self._account_of(wish, now) for wish in wishes
        ]

        def work(tx: Tx) -> list[Outcome]:
            outcomes, made = _judged(tx, accounts)
            if made and not is_rehearsal:
                store.insert_accounts(tx, made)
                user_ids = [account.user.id for account in made]
                audit.record_each(
                    tx, now=now, actor=actor, action="user.created", object_ids=user_ids, detail="import"
                )
                if outbox.is_wanted(tx, "user.created"):
                    for user_id in user_ids:
                        self._events.user(tx, "user.created", user_id, now=now)
            return outcomes

        if is_rehearsal:
            return await self._database.read(work)
        return await self._written(work)

    async def password_hashes(self, user_ids: Sequence[str], *, actor: str) -> list[PasswordHash]:
        """Of those users who have a password. That somebody took them along is written down."""
        now = self._clock()

        def work(tx: Tx) -> list[PasswordHash]:
            found = [
                PasswordHash(user_id, *foreign_hashes.told_form(stored))
                for user_id, stored in store.password_hashes_of(tx, user_ids)
            ]
            detail = f"{len(found)} users from {user_ids[0]} on"
            audit.record(
                tx, now=now, actor=actor, action="user.password_hashes_read", object_id="users", detail=detail
            )
            return found

        return await self._database.write(work)

    async def _account_of(self, wish: NewUser, now: int) -> Account | NotMade:
        try:
            account = new_account(wish, now)
            encoded = await self._administration.encoded(wish.password, account.primary_email.address)
        except Refused as refused:
            if any(problem.code == OVERLOADED.code for problem in refused.errors):
                raise
            return NotMade(refused.errors)
        return with_password(account, encoded, now)

    async def _written(self, work: Callable[[Tx], list[Outcome]]) -> list[Outcome]:
        """Somebody may sign up with one of the addresses meanwhile; whoever looks again finds them."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._database.write(work)
            except ConstraintViolated:
                continue
        return await self._database.write(work)


def _judged(tx: Tx, accounts: Sequence[Account | NotMade]) -> tuple[list[Outcome], list[Account]]:
    """Every outcome, and who is to be made."""
    owners = Owners(tx, (account for account in accounts if isinstance(account, Account)))
    outcomes, made = list[Outcome](), list[Account]()
    for account in accounts:
        judged = account if isinstance(account, NotMade) else _outcome(account, owners)
        if isinstance(judged, Account):
            owners.add(judged)
            made.append(judged)
            outcomes.append(Made(judged.user.id))
        else:
            outcomes.append(judged)
    return outcomes, made


def _outcome(account: Account, owners: Owners) -> Account | Known | NotMade:
    user = account.user
    if user.id in owners.ids:
        return Known(user.id)
    if user.external_id is not None and user.external_id in owners.external_ids:
        return Known(owners.external_ids[user.external_id])
    for email in account.email_addresses:
        if email.address in owners.addresses:
            user_id, external_id = owners.addresses[email.address]
            if user.external_id is None or external_id is None:
                return Known(user_id)
            # Two people of the other system, and one address.
            return NotMade((taken("email_address"),))
    if user.username is not None and user.username in owners.usernames:
        return NotMade((taken("username"),))
    if any(phone.number in owners.numbers for phone in account.phone_numbers):
        return NotMade((taken("phone_number"),))
    return _placed(account, owners)


def _placed(account: Account, owners: Owners) -> Account | NotMade:
    """Users made in one millisecond differ by 21 bits of their ids; of those that do not, one is a little younger."""
    for later in range(_PLACES):
        placed = replace(account, user=replace(account.user, created_at=account.user.created_at + later))
        if not owners.has_place(placed.user.ordinal, is_asked=later == 0):
            return placed
    return NotMade((taken("created_at"),))

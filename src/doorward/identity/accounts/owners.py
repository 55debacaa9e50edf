"""Who has already what only one user can have: ids, addresses, numbers, names and places in the order of creation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from doorward.identity.accounts.store import Account
from doorward.store import Tx
from doorward.store.database import Row

_VALUES = 500


class Owners:
    """Who has what only one user can have, as far as a batch asks for it."""

    def __init__(self, tx: Tx, accounts: Iterable[Account]) -> None:
        wanted = list(accounts)
        users = [account.user for account in wanted]
        self.external_ids: dict[str, str] = dict(
            _found(
                tx, "external_id, id FROM identity_users WHERE external_id", (u.external_id for u in users)
            )
        )
        self.usernames = {
            row[0]
            for row in _found(tx, "username FROM identity_users WHERE username", (u.username for u in users))
        }
        #: The user's id and external id.
        self.addresses: dict[str, tuple[str, str | None]] = {
            address: (user_id, external_id)
            for address, user_id, external_id in _found(
                tx,
                "e.address, u.id, u.external_id FROM identity_email_addresses e JOIN identity_users u ON u.id = e.user_id"
                " WHERE (e.verified_at IS NOT NULL OR e.is_reserved) AND e.address",
                (email.address for account in wanted for email in account.email_addresses),
            )
        }
        self.numbers = {
            row[0]
            for row in _found(
                tx,
                "number FROM identity_phone_numbers WHERE (verified_at IS NOT NULL OR is_reserved) AND number",
                (phone.number for account in wanted for phone in account.phone_numbers),
            )
        }
        self.ids = {row[0] for row in _found(tx, "id FROM identity_users WHERE id", (u.id for u in users))}
        self._ordinals = {
            row[0]
            for row in _found(tx, "ordinal FROM identity_users WHERE ordinal", (u.ordinal for u in users))
        }
        self._tx = tx

    def has_place(self, ordinal: int, *, is_asked: bool) -> bool:
        """Whether somebody stands there in the order of creation; `is_asked` where the batch asked for it beforehand."""
        if ordinal in self._ordinals or is_asked:
            return ordinal in self._ordinals
        return self._tx.fetch_one("SELECT id FROM identity_users WHERE ordinal = ?", (ordinal,)) is not None

    def add(self, account: Account) -> None:
        """Later users of the batch meet this one as if it were here already."""
        user = account.user
        self.ids.add(user.id)
        if user.external_id is not None:
            self.external_ids[user.external_id] = user.id
        if user.username is not None:
            self.usernames.add(user.username)
        for email in account.email_addresses:
            if email.is_owned:
                self.addresses[email.address] = (user.id, user.external_id)
        self.numbers.update(
            phone.number
            for phone in account.phone_numbers
            if phone.verified_at is not None or phone.is_reserved
        )
        self._ordinals.add(user.ordinal)


def _found(tx: Tx, selected: str, values: Iterable[object]) -> Iterator[Row]:
    """Rows of `SELECT <selected> IN (values)`, a few hundred values a statement."""
    wanted = sorted({value for value in values if value is not None}, key=str)
    for start in range(0, len(wanted), _VALUES):
        some = wanted[start : start + _VALUES]
        places = ", ".join("?" for _ in some)
        yield from tx.fetch_all(f"SELECT {selected} IN ({places})", some)

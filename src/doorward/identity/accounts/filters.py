"""What users are asked for, and what that is in SQL."""

# ruff: noqa: S608  (only our own column names are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from doorward.store.database import like_literally


class Choice(msgspec.Struct, frozen=True):
    """Values that a user must have one of, and values that a user must not have."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What users must be like; None and empty ask for nothing. Times in milliseconds."""

    ids: Choice = Choice()
    external_ids: Choice = Choice()
    organization_ids: Choice = Choice()
    email_addresses: tuple[str, ...] = ()
    phone_numbers: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    text: str | None = None
    email_text: str | None = None
    phone_text: str | None = None
    username_text: str | None = None
    name_text: str | None = None
    is_banned: bool | None = None
    last_active_before: int | None = None
    last_active_after: int | None = None
    created_before: int | None = None
    created_after: int | None = None
    last_sign_in_before: int | None = None
    last_sign_in_after: int | None = None
    is_impossible: bool = False
    """Something was asked for that no user here has, such as a wallet."""


class Condition(msgspec.Struct):
    """Terms on a row of `identity_users`, all of which must hold, and their values in order."""

    terms: list[str] = msgspec.field(default_factory=list)
    values: list[Any] = msgspec.field(default_factory=list)

    def want(self, term: str, /, *given: object) -> None:
        self.terms.append(term)
        self.values.extend(given)

    def want_part(self, value: str, text: str, *, closing: str = "") -> None:
        """That `value` contains `text`, letter by letter."""
        self.want(f"{value} LIKE ? ESCAPE '\\'{closing}", f"%{like_literally(text.lower())}%")

    def want_choice(self, column: str, choice: Choice) -> None:
        if choice.wanted:
            self.want(f"{column} IN ({_places(choice.wanted)})", *choice.wanted)
        if choice.unwanted:
            self.want(f"({column} IS NULL OR {column} NOT IN ({_places(choice.unwanted)}))", *choice.unwanted)

    def want_members(self, choice: Choice) -> None:
        """Of any of these organizations, and of none of those."""
        for organizations, sign in ((choice.wanted, "IN"), (choice.unwanted, "NOT IN")):
            if organizations:
                self.want(
                    f"identity_users.id {sign} (SELECT user_id FROM identity_organization_memberships "
                    f"WHERE organization_id IN ({_places(organizations)}))",
                    *organizations,
                )

    @property
    def where(self) -> str:
        return f"WHERE {' AND '.join(self.terms)}" if self.terms else ""

    def __and__(self, other: Condition) -> Condition:
        return Condition([*self.terms, *other.terms], [*self.values, *other.values])


class Selection(msgspec.Struct, frozen=True):
    """A filter in SQL: `span` says between which ordinals, `rest` everything else."""

    span: Condition
    rest: Condition
    text: str | None
    """What is searched for, in lower case; `rest` asks for it too."""
    is_named: bool
    """Everybody who is meant was named, by an id, an address, an organization or the like: few beside all there are."""

    @property
    def whole(self) -> Condition:
        return self.span & self.rest


def selection_of(wanted: Filter) -> Selection:
    span, rest = Condition(), Condition()
    texts = (wanted.text, wanted.email_text, wanted.phone_text, wanted.username_text, wanted.name_text)
    text = next((text.lower() for text in texts if text), None)
    if text is not None:
        rest.want_part("identity_users.search_text", text)
    if wanted.email_text:
        rest.want_part(_any_of("identity_email_addresses", "address"), wanted.email_text, closing=")")
    if wanted.phone_text:
        rest.want_part(_any_of("identity_phone_numbers", "number"), wanted.phone_text, closing=")")
    if wanted.username_text:
        rest.want_part("lower(identity_users.username)", wanted.username_text)
    if wanted.name_text:
        name = (
            "lower(COALESCE(identity_users.first_name, '') || ' ' || COALESCE(identity_users.last_name, ''))"
        )
        rest.want_part(name, wanted.name_text)
    rest.want_choice("identity_users.id", wanted.ids)
    rest.want_choice("identity_users.external_id", wanted.external_ids)
    rest.want_members(wanted.organization_ids)
    rest.want_choice("identity_users.username", Choice(wanted.usernames))
    for table, column, owned in (
        ("identity_email_addresses", "address", wanted.email_addresses),
        ("identity_phone_numbers", "number", wanted.phone_numbers),
    ):
        if owned:
            rest.want(
                f"identity_users.id IN (SELECT user_id FROM {table} WHERE {column} IN ({_places(owned)}))",
                *owned,
            )
    if wanted.is_banned is not None:
        rest.want("identity_users.is_banned" if wanted.is_banned else "NOT identity_users.is_banned")
    for column, sign, instant in (
        ("last_active_at", "<", wanted.last_active_before),
        ("last_active_at", ">", wanted.last_active_after),
        ("last_sign_in_at", "<", wanted.last_sign_in_before),
        ("last_sign_in_at", ">", wanted.last_sign_in_after),
    ):
        if instant is not None:
            rest.want(f"identity_users.{column} {sign} ?", instant)
    # The high bits of the ordinal are the time of creation, and it is the ordinal that has the index.
    if wanted.created_before is not None:
        span.want("identity_users.ordinal < ?", wanted.created_before << 21)
    if wanted.created_after is not None:
        span.want("identity_users.ordinal >= ?", (wanted.created_after + 1) << 21)
    names: Sequence[Sequence[str]] = (
        wanted.ids.wanted,
        wanted.external_ids.wanted,
        wanted.organization_ids.wanted,
        wanted.usernames,
        wanted.email_addresses,
        wanted.phone_numbers,
    )
    return Selection(span, rest, text, any(names))


def _any_of(table: str, column: str) -> str:
    return f"EXISTS (SELECT 1 FROM {table} WHERE user_id = identity_users.id AND {column}"


def _places(values: Iterable[str]) -> str:
    return ", ".join("?" for _ in values)

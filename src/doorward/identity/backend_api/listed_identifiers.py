"""`/allowlist_identifiers` and `/blocklist_identifiers`."""

from __future__ import annotations

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire.instance import AllowlistIdentifier, BlocklistIdentifier
from doorward.identity.backend_api.wire.shapes import Body, Listed, NoBody, NoQuery, Page
from doorward.identity.resources.deleted import Deleted
from doorward.identity.restrictions.list_store import ListedIdentifier


class AllowIdentifier(Body, frozen=True, kw_only=True):
    identifier: str
    notify: bool = False


class BlockIdentifier(Body, frozen=True, kw_only=True):
    identifier: str


async def list_allowlist_identifiers(
    call: Call[Page, NoBody],
) -> list[AllowlistIdentifier] | Listed[AllowlistIdentifier]:
    """The allow-list, newest first."""
    page = call.query
    entries, total = await call.identity.listed_identifiers.page("allow", page.limit, page.offset)
    data = [_allowed(entry, call.identity.instance.id) for entry in entries]
    return Listed(data, total) if page.paginated else data


async def create_allowlist_identifier(call: Call[NoQuery, AllowIdentifier]) -> AllowlistIdentifier:
    """Allow an address, a domain, a phone number or a wallet; with `notify`, invite the address."""
    entry = await call.identity.listed_identifiers.add(
        "allow", call.body.identifier, notify=call.body.notify, actor=call.caller.id
    )
    return _allowed(entry, call.identity.instance.id)


async def delete_allowlist_identifier(call: Call[NoQuery, NoBody]) -> Deleted:
    """Take an entry off the allow-list."""
    entry_id = call.path["identifier_id"]
    await call.identity.listed_identifiers.remove("allow", entry_id, actor=call.caller.id)
    return Deleted("allowlist_identifier", entry_id)


async def list_blocklist_identifiers(call: Call[Page, NoBody]) -> Listed[BlocklistIdentifier]:
    """The block-list, newest first."""
    entries, total = await call.identity.listed_identifiers.page("block", call.query.limit, call.query.offset)
    return Listed([_blocked(entry, call.identity.instance.id) for entry in entries], total)


async def create_blocklist_identifier(call: Call[NoQuery, BlockIdentifier]) -> BlocklistIdentifier:
    """Block an address, a domain, a phone number or a wallet."""
    entry = await call.identity.listed_identifiers.add("block", call.body.identifier, actor=call.caller.id)
    return _blocked(entry, call.identity.instance.id)


async def delete_blocklist_identifier(call: Call[NoQuery, NoBody]) -> Deleted:
    """Take an entry off the block-list."""
    entry_id = call.path["identifier_id"]
    await call.identity.listed_identifiers.remove("block", entry_id, actor=call.caller.id)
    return Deleted("blocklist_identifier", entry_id)


def _allowed(entry: ListedIdentifier, instance_id: str) -> AllowlistIdentifier:
    return AllowlistIdentifier(
        object="allowlist_identifier",
        id=entry.id,
        invitation_id=entry.invitation_id,
        identifier=entry.identifier,
        identifier_type=entry.identifier_type,
        instance_id=instance_id,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
    )


def _blocked(entry: ListedIdentifier, instance_id: str) -> BlocklistIdentifier:
    return BlocklistIdentifier(
        id=entry.id,
        identifier=entry.identifier,
        identifier_type=entry.identifier_type,
        instance_id=instance_id,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
    )


OPERATIONS = (
    operation(
        "GET",
        "/allowlist_identifiers",
        list_allowlist_identifiers,
        query=Page,
        answer=list[AllowlistIdentifier] | Listed[AllowlistIdentifier],
    ),
    operation(
        "POST",
        "/allowlist_identifiers",
        create_allowlist_identifier,
        body=AllowIdentifier,
        answer=AllowlistIdentifier,
    ),
    operation(
        "DELETE", "/allowlist_identifiers/{identifier_id}", delete_allowlist_identifier, answer=Deleted
    ),
    operation(
        "GET",
        "/blocklist_identifiers",
        list_blocklist_identifiers,
        query=Page,
        answer=Listed[BlocklistIdentifier],
    ),
    operation(
        "POST",
        "/blocklist_identifiers",
        create_blocklist_identifier,
        body=BlockIdentifier,
        answer=BlocklistIdentifier,
    ),
    operation(
        "DELETE", "/blocklist_identifiers/{identifier_id}", delete_blocklist_identifier, answer=Deleted
    ),
)

"""Which address an allow-list or block-list entry means, and whether it may come in. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib.resources import files
from typing import Literal

from doorward.identity.accounts.rules import normalise_email
from doorward.identity.errors import NOT_ALLOWED_ACCESS, Problem
from doorward.identity.instance.rules import InstanceSettings

ListName = Literal["allow", "block"]
IdentifierType = Literal["email_address", "phone_number", "web3_wallet"]

_DOMAIN_FORM = re.compile(r"\*@(?:\*\.)?((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63})")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_WALLET = re.compile(r"0x[0-9a-f]{40}")


def normalise_identifier(text: str) -> tuple[str, IdentifierType] | None:
    """An address, `*@domain`, `*@*.domain`, an E.164 number or a wallet, in the spelling it is compared in."""
    identifier = text.strip().lower()
    if _DOMAIN_FORM.fullmatch(identifier):
        return identifier, "email_address"
    if _PHONE.fullmatch(identifier):
        return identifier, "phone_number"
    if _WALLET.fullmatch(identifier):
        return identifier, "web3_wallet"
    # `john*@x` means nothing but itself: a star inside an address is no pattern.
    address = normalise_email(identifier)
    return None if address is None else (address, "email_address")


def entries_that_match(address: str) -> tuple[str, ...]:
    """Every entry that would name this (normalised) address: itself, without its subaddress, its domain, and the domains
    above that."""
    local, _, domain = address.rpartition("@")
    base = local.partition("+")[0]
    labels = domain.split(".")
    above = [".".join(labels[start:]) for start in range(1, len(labels))]
    names = (address, f"{base}@{domain}", f"*@{domain}", *(f"*@*.{name}" for name in above))
    return tuple(dict.fromkeys(names))


def entries_that_allow(address: str) -> tuple[str, ...]:
    """The allow-list takes addresses to the letter: a subaddress of somebody allowed is somebody else's choice."""
    domain = address.rpartition("@")[2]
    return (address, f"*@{domain}")


def sign_up_problem(
    settings: InstanceSettings, address: str, *, is_allowed: bool, is_blocked: bool, is_invited: bool
) -> Problem | None:
    """`is_allowed` and `is_blocked` say whether an entry matches, whatever the switches; an invitation stands in for an
    entry of the allow-list and for nothing else."""
    if settings.allowlist and is_allowed:
        return None
    if settings.allowlist and not is_invited:
        return refused(address)
    if settings.blocklist and is_blocked:
        return refused(address)
    return address_problem(settings, address)


def sign_in_problem(
    settings: InstanceSettings, address: str, *, is_allowed: bool, is_blocked: bool
) -> Problem | None:
    """The block-list alone reaches people who have an account already, unless that is switched off."""
    if settings.allowlist_blocklist_disabled_on_sign_in or not settings.blocklist:
        return None
    if settings.allowlist and is_allowed:
        return None
    return refused(address) if is_blocked else None


def address_problem(settings: InstanceSettings, address: str) -> Problem | None:
    """Subaddresses and disposable domains, at sign-up and when an address is added."""
    local, _, domain = address.rpartition("@")
    if settings.block_email_subaddresses and _is_subaddress(local, domain):
        return NOT_ALLOWED_ACCESS.at(
            long_message="Email address must not contain the characters '+', '=', or '#'.",
            identifiers=[address],
        )
    if settings.block_disposable_email_domains and _is_within(domain, _disposable()):
        return refused(address)
    return None


def _is_subaddress(local: str, domain: str) -> bool:
    marks = "+=#-" if domain.startswith("yahoo.") else "+=#"
    return any(mark in local for mark in marks)


def _is_within(domain: str, domains: Collection[str]) -> bool:
    labels = domain.split(".")
    return any(".".join(labels[start:]) in domains for start in range(len(labels)))


@cache
def _disposable() -> frozenset[str]:
    text = files("doorward.identity.restrictions").joinpath("disposable_domains.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def refused(address: str) -> Problem:
    return NOT_ALLOWED_ACCESS.at(
        long_message=f"{address} is not allowed to access this application.", identifiers=[address]
    )

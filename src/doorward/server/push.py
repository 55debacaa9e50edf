"""What `[push]` of doorward.toml means to the relay: keys read from their files and checked before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import msgspec

from doorward.jose import JoseError, PrivateKey
from doorward.push.fcm import ServiceAccount
from doorward.relay import ApnsSettings
from doorward.server.configuration import ApnsSection, ConfigurationInvalid, PushSection, read_text


class PushSettings(TypedDict):
    """The members of `RelaySettings` that are about notifications."""

    apns: ApnsSettings | None
    fcm: ServiceAccount | None
    push_contact: str | None


def push_settings(section: PushSection) -> PushSettings:
    """Raises ConfigurationInvalid, naming the file and what should be in it."""
    if section.contact is not None and not section.contact.startswith(("mailto:", "https:")):
        raise ConfigurationInvalid(
            f"push.contact must be a mailto: or https: address; it is {section.contact!r}."
        )
    return PushSettings(
        apns=None if section.apns is None else _apns(section.apns),
        fcm=None if section.fcm is None else _service_account(section.fcm.service_account_file),
        push_contact=section.contact,
    )


def _apns(section: ApnsSection) -> ApnsSettings:
    if (section.key_file is None) == (section.private_key is None):
        raise ConfigurationInvalid("push.apns takes one of key_file and private_key.")
    pem = section.private_key or ""
    if section.key_file is not None:
        pem = read_text(section.key_file, key="push.apns.key_file").strip()
    try:
        PrivateKey.from_pem(pem, alg="ES256")
    except JoseError as error:
        raise ConfigurationInvalid(
            f"push.apns: {section.key_file or 'private_key'} is not the .p8 key of Apple's developer site (a P-256 key in PEM)."
        ) from error
    return ApnsSettings(
        private_key=pem,
        key_id=section.key_id,
        team_id=section.team_id,
        bundle_id=section.bundle_id,
        environment=section.environment,
    )


def _service_account(path: Path) -> ServiceAccount:
    key = "push.fcm.service_account_file"
    try:
        account = msgspec.json.decode(read_text(path, key=key), type=ServiceAccount)
        PrivateKey.from_pem(account.private_key, alg="RS256")
    except (msgspec.DecodeError, JoseError) as error:
        raise ConfigurationInvalid(
            f"{key}: {path} is not the JSON key of a service account of Google's console."
        ) from error
    return account

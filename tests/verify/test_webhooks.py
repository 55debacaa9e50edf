"""Deliveries of webhooks: what is taken, and of each refusal why and what to do. Doorward's own deliveries are in
tests/identity_webhooks/test_verifiers.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from svix.webhooks import Webhook

from doorward.verify.errors import ConfigurationError, WebhookRefused
from doorward.verify.webhooks import WebhookEvent, verify_webhook
from doorward.webhook_signing import key_of, new_secret, signed_headers

NOW = 1_800_000_000
SECRET, OTHER = new_secret(), new_secret()
BODY = json.dumps(
    {
        "data": {"object": "user", "id": "user_1", "deleted": True},
        "event_attributes": {"http_request": {"client_ip": "", "user_agent": ""}},
        "instance_id": "ins_1",
        "object": "event",
        "timestamp": NOW * 1000,
        "type": "user.deleted",
    }
).encode()


def sent(*secrets: str, body: bytes = BODY, at: int = NOW) -> dict[str, str]:
    return signed_headers([key_of(secret) for secret in secrets or (SECRET,)], "msg_1", at, body)


def verified(headers: Mapping[str, str], body: bytes = BODY, **options: Any) -> WebhookEvent:
    given = {"signing_secret": SECRET, "clock": lambda: NOW, "environment": {}} | options
    return verify_webhook(headers, body, **given)


def refused(headers: Mapping[str, str], body: bytes = BODY, **options: Any) -> WebhookRefused:
    with pytest.raises(WebhookRefused) as caught:
        verified(headers, body, **options)
    assert SECRET not in str(caught.value)
    return caught.value


def test_a_delivery_is_an_event() -> None:
    event = verified(sent())
    assert (event.type, event.id, event.timestamp, event.instance_id) == (
        "user.deleted",
        "msg_1",
        NOW * 1000,
        "ins_1",
    )
    assert event.data == {"object": "user", "id": "user_1", "deleted": True}


@pytest.mark.parametrize("family", ["svix", "webhook"])
def test_either_family_of_headers_is_enough_in_any_spelling(family: str) -> None:
    headers = {name.title(): value for name, value in sent().items() if name.startswith(family)}
    assert verified(headers).id == "msg_1"


def test_what_the_svix_package_signs_is_taken() -> None:
    signature = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    headers = {"svix-id": "msg_1", "svix-timestamp": str(NOW), "svix-signature": signature}
    assert verified(headers).type == "user.deleted"


def test_while_a_secret_is_being_replaced_either_counts() -> None:
    headers = sent(OTHER, SECRET)
    assert verified(headers) == verified(headers, signing_secret=OTHER)


@pytest.mark.parametrize(("seconds", "holds"), [(-300, True), (-301, False), (300, True), (301, False)])
def test_five_minutes_are_forgiven_and_no_second_more(seconds: int, holds: bool) -> None:
    headers = sent(at=NOW + seconds)
    if holds:
        verified(headers)
        return
    error = refused(headers)
    assert (error.code, error.skew_seconds) == ("webhook-too-old", 301)
    assert error.action


def test_what_was_changed_or_is_by_another_is_refused() -> None:
    """Also where the other family's headers are as they were sent: the `id` that is given back is one that was signed."""
    for error in (
        refused(sent(), BODY.replace(b"user_1", b"user_2")),
        refused(sent(OTHER)),
        refused(sent() | {"svix-id": "msg_2"}),
        refused(sent() | {"svix-timestamp": f"{NOW}.0"}),
        refused(sent() | {"svix-timestamp": "now"}),
        refused(sent() | {"svix-signature": "v1,"}),
    ):
        assert error.code == "webhook-signature-invalid"
        assert "secret" in str(error)


@pytest.mark.parametrize("absent", ["svix-id", "svix-timestamp", "svix-signature"])
def test_a_missing_header_is_named(absent: str) -> None:
    headers = {name: value for name, value in sent().items() if name.startswith("svix") and name != absent}
    error = refused(headers)
    assert error.code == "webhook-headers-missing"
    assert error.message == f"Headers are missing: {absent}."


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"type": "x"}', b'{"type": 1, "data": {}}', b"\xff"])
def test_a_body_that_is_no_event_is_refused_although_it_is_signed(body: bytes) -> None:
    assert refused(sent(body=body), body).code == "webhook-body-invalid"


def test_the_secret_comes_from_the_environment_and_is_beaten_by_the_one_given() -> None:
    environment = {"CLERK_WEBHOOK_SIGNING_SECRET": SECRET}
    assert verified(sent(), signing_secret=None, environment=environment).id == "msg_1"
    assert refused(sent(), signing_secret=OTHER, environment=environment).code == "webhook-signature-invalid"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "sk_test_x", "whsec_not base64"])
def test_a_secret_that_is_none_is_a_mistake_of_the_configuration(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="CLERK_WEBHOOK_SIGNING_SECRET"):
        verified(sent(), signing_secret=secret)

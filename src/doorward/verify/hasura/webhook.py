"""What a webhook is asked, and what its answer means. Pure: whoever calls it brings the HTTP client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from doorward.verify.hasura.auth_config import Forwarded, WebhookModeV3
from doorward.verify.hasura.errors import HasuraRefused
from doorward.verify.hasura.session import ROLE, Identity

#: What a GET does not forward unless it is told to: they are about the connection, not about the asker.
NOT_FORWARDED = frozenset(
    ["accept", "accept-datetime", "accept-encoding", "accept-language", "cache-control", "connection", "content-length",
     "content-md5", "content-type", "dnt", "host", "origin", "referer", "user-agent"]
)  # fmt: skip


class WebhookRequest(msgspec.Struct, frozen=True):
    """`body` is JSON, or None for a GET. Time out after 60 seconds."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


class WebhookAnswer(msgspec.Struct, frozen=True):
    status: int
    body: bytes


def webhook_request(
    mode: WebhookModeV3, headers: Mapping[str, str], environ: Mapping[str, str]
) -> WebhookRequest:
    """`headers` are the client's, with lower-case names."""
    url, custom = mode.url.text(environ), mode.custom_headers_config
    if mode.method == "GET":
        everything = {name: value for name, value in headers.items() if name not in NOT_FORWARDED}
        sent = everything if custom is None else _selected(custom.headers, headers, everything)
        return WebhookRequest("GET", url, sent, None)
    own = {} if custom is None else _selected(custom.headers, headers, {})
    told = dict(headers) if custom is None else _selected(custom.body.headers, headers, dict(headers))
    return WebhookRequest(
        "POST", url, {**own, "content-type": "application/json"}, msgspec.json.encode({"headers": told})
    )


def _selected(rule: Forwarded, headers: Mapping[str, str], otherwise: dict[str, str]) -> dict[str, str]:
    if rule.forward is msgspec.UNSET:
        return {**otherwise, **rule.additional}
    if rule.forward == "*":
        return {**headers, **rule.additional}
    wanted = {name.lower() for name in rule.forward}
    return {**{name: value for name, value in headers.items() if name in wanted}, **rule.additional}


def webhook_identity(answer: WebhookAnswer, *, emulation_role: str | None = None) -> Identity:
    """Raises HasuraRefused: 403 for a 401; 500 for anything but a 200 with a JSON object and a role."""
    if answer.status == 401:
        raise HasuraRefused("webhook_denied", "The webhook does not let this request in.")
    if answer.status != 200:
        raise HasuraRefused("webhook_failed", f"The webhook answered {answer.status}.")
    try:
        variables: dict[str, Any] = msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HasuraRefused("webhook_failed", "The webhook's answer is not a JSON object.") from None
    variables = {name.lower(): value for name, value in variables.items()}
    role = variables.get(ROLE)
    if not isinstance(role, str):
        raise HasuraRefused("webhook_failed", f"The webhook's answer lacks {ROLE} as text.")
    return Identity(role, (role,), variables, emulation_role is not None and role == emulation_role)

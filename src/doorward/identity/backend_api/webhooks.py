"""`/webhooks/svix…`: where Clerk sends a developer to Svix's console, we send them to our own."""

from __future__ import annotations

from typing import Any

import msgspec

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire.shapes import NoBody, NoQuery

CONSOLE_PATH = "/admin/webhooks"


class SvixURL(msgspec.Struct):
    svix_url: str


async def create_svix_app(call: Call[NoQuery, NoBody]) -> SvixURL:
    """Where webhooks are administered; they need no app of their own."""
    return _console(call)


async def delete_svix_app(call: Call[NoQuery, NoBody]) -> None:
    """Delete every webhook endpoint."""
    await call.identity.webhooks.delete_all(actor=call.caller.id)


async def generate_svix_auth_url(call: Call[NoQuery, NoBody]) -> SvixURL:
    """Where webhooks are administered; whoever opens it signs in as an administrator."""
    return _console(call)


def _console(call: Call[Any, Any]) -> SvixURL:
    return SvixURL(f"{call.identity.settings.origin}{CONSOLE_PATH}")


OPERATIONS = (
    operation("POST", "/webhooks/svix", create_svix_app, answer=SvixURL),
    operation("DELETE", "/webhooks/svix", delete_svix_app, answer=None),
    operation("POST", "/webhooks/svix_url", generate_svix_auth_url, answer=SvixURL),
)

"""The e-mails of a development server, newest first. There is no such page in production."""

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.errors import RESOURCE_NOT_FOUND, Refused
from doorward.identity.mail import ReceivedMail
from doorward.identity.pages.site import Site


class InboxRow(msgspec.Struct, frozen=True):
    """`parts` is the text, with every second part an address on the web. `received_at` is in milliseconds."""

    to: str
    subject: str
    parts: list[str]
    code: str | None
    received_at: int


async def show(site: Site, request: Request) -> Response:
    inbox = site.identity.inbox
    if inbox is None:
        raise Refused(RESOURCE_NOT_FOUND)
    return site.page(request, "inbox.html", {"mails": [_row(received) for received in inbox.messages]})


def _row(received: ReceivedMail) -> InboxRow:
    mail = received.mail
    found = re.search(r"\b\d{6}\b", mail.text)
    return InboxRow(
        mail.to,
        mail.subject,
        re.split(r"(https?://[^\s<>\"]+)", mail.text.strip()),
        found.group() if found else None,
        received.received_at,
    )

"""Messages as the Backend API shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from doorward.identity.mail import Mail

#: Mails that open nothing. Of every other the text stays between the sender and the mailbox.
HARMLESS = frozenset({"account_exists", "password_changed", "email_changed", "machine_linked"})


class Email(msgspec.Struct):
    """`slug` names why it was sent. `subject` and `body_plain` are empty where they may hold a code or a link."""

    id: str
    slug: str
    to_email_address: str
    subject: str
    body_plain: str
    object: str = "email"
    from_email_name: str = ""
    reply_to_email_name: None = None
    email_address_id: None = None
    user_id: None = None
    body: str = ""
    status: str = "queued"
    data: dict[str, str] = {}
    delivered_by_clerk: bool = True


def email(email_id: str, message: Mail) -> Email:
    is_harmless = message.kind in HARMLESS
    return Email(
        id=email_id,
        slug=message.kind,
        to_email_address=message.to,
        subject=message.subject if is_harmless else "",
        body_plain=message.text if is_harmless else "",
    )

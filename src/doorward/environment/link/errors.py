"""What can stand in the way of a link, of health and of a mint: one kind per HTTP status, the message per cause."""

from typing import Literal

Kind = Literal["bad_request", "unauthorized", "forbidden", "conflict", "internal"]


class LinkRefused(Exception):
    """`kind` is the class of answer, the message a sentence of the protocol (connect-environment §2.6-2.9, §4.7)."""

    code = "link_refused"

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message

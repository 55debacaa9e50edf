"""E-mail: what a message is, who carries it, and the queue that keeps its pace from telling anything.

A request never waits for a mail server: waiting would tell which addresses have an account. Messages are posted after
COMMIT and sent by tasks of the queue; a failed one is logged without its content.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Protocol, TextIO

import msgspec

from doorward.store import Clock

_log = logging.getLogger("doorward.identity.mail")


class Mail(msgspec.Struct, frozen=True):
    """`kind` names why it is sent (`verification_code`, `account_exists`, `password_changed`, …)."""

    to: str
    subject: str
    text: str
    kind: str
    html: str | None = None

    def __repr__(self) -> str:
        return f"Mail({self.kind}, to {self.to})"


class Mailer(Protocol):
    async def send(self, message: Mail) -> None: ...


class ConsoleMailer:
    """Prints every message; for a first try on one's own machine."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    async def send(self, message: Mail) -> None:
        stream = self._stream or sys.stdout
        body = "\n".join("    " + line for line in message.text.strip().splitlines())
        stream.write(f"\n  mail to {message.to}: {message.subject}\n{body}\n\n")
        stream.flush()


class ReceivedMail(msgspec.Struct, frozen=True):
    received_at: int
    mail: Mail


class DevelopmentInbox:
    """Keeps the last 200 messages in memory, and passes each on to `also` if given. Only for development."""

    def __init__(self, clock: Clock, also: Mailer | None = None) -> None:
        self._clock = clock
        self._also = also
        self._messages: deque[ReceivedMail] = deque(maxlen=200)

    async def send(self, message: Mail) -> None:
        self._messages.appendleft(ReceivedMail(self._clock(), message))
        if self._also is not None:
            await self._also.send(message)

    @property
    def messages(self) -> list[ReceivedMail]:
        """Newest first."""
        return list(self._messages)


class SmtpMailer:
    """Hands messages to a mail server. `tls` is "starttls", "implicit" or "none" (a server on this machine)."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        sender: str,
        username: str | None = None,
        password: str | None = None,
        tls: str = "starttls",
        timeout: float = 20.0,
    ) -> None:
        if tls not in ("starttls", "implicit", "none"):
            raise ValueError(f"tls must be starttls, implicit or none, not {tls!r}")
        if password is not None and tls == "none":
            raise ValueError("a password must not travel to a mail server without TLS")
        self._host, self._port, self._sender, self._tls = host, port, sender, tls
        self._username, self._password, self._timeout = username, password, timeout

    async def send(self, message: Mail) -> None:
        import aiosmtplib

        await aiosmtplib.send(
            self._compose(message),
            hostname=self._host,
            port=self._port,
            username=self._username,
            password=self._password,
            use_tls=self._tls == "implicit",
            start_tls=self._tls == "starttls",
            timeout=self._timeout,
        )

    def _compose(self, message: Mail) -> EmailMessage:
        composed = EmailMessage()  # refuses line breaks in headers, so an address cannot inject one
        composed["From"] = self._sender
        composed["To"] = message.to
        composed["Subject"] = message.subject
        composed["Date"] = formatdate(localtime=False)
        composed["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2].strip(" >") or "localhost")
        composed["Auto-Submitted"] = "auto-generated"
        composed.set_content(message.text)
        if message.html is not None:
            composed.add_alternative(message.html, subtype="html")
        return composed


class MailQueue:
    """Sends in the background, at most `limit` messages waiting. `tell` hears of each before it is sent."""

    def __init__(
        self,
        mailer: Mailer,
        *,
        limit: int = 1_000,
        tell: Callable[[Mail], Awaitable[None]] | None = None,
    ) -> None:
        self._mailer = mailer
        self._tell = tell
        self._limit = limit
        self._tasks: set[asyncio.Task[bool]] = set()

    def post(self, message: Mail) -> None:
        if len(self._tasks) >= self._limit:
            _log.error("mail queue full: a message of kind %s was dropped", message.kind)
            return
        task = asyncio.create_task(self.deliver(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def waiting(self) -> int:
        """Messages that are not sent yet."""
        return len(self._tasks)

    async def deliver(self, message: Mail) -> bool:
        """Send now; false when it could not be sent, which is logged, for a caller that keeps it and tries again."""
        try:
            if self._tell is not None:
                await self._tell(message)
        except Exception:
            # A mail is worth more than the news of it.
            _log.exception("a message of kind %s could not be told of", message.kind)
        try:
            await self._mailer.send(message)
        except Exception:
            _log.exception("a message of kind %s could not be sent", message.kind)
            return False
        return True

    async def drain(self) -> None:
        """Wait until everything posted so far was sent or has failed."""
        while self._tasks:
            await asyncio.gather(*self._tasks)


# The messages themselves.


def verification_code(to: str, code: str, application: str) -> Mail:
    return _with_code(
        to,
        "verification_code",
        f"{code} is your {application} code",
        f"Your {application} code is {code}",
        "If you did not ask for it, ignore this message; nobody can use it without the page that asked.",
    )


def reset_code(to: str, code: str, application: str) -> Mail:
    return _with_code(
        to,
        "reset_password_code",
        f"{code} resets your {application} password",
        f"The code to reset your {application} password is {code}",
        "If you did not ask for it, ignore this message; your password stays as it is.",
    )


def domain_verification(to: str, code: str, organization: str, application: str) -> Mail:
    domain = to.rpartition("@")[2]
    return _with_code(
        to,
        "organization_domain_affiliation_verification_code",
        f"{code} verifies {domain} for {organization}",
        f"Somebody at {application} wants to say that {domain} belongs to {organization}. The code is {code}",
        "If you know nothing of it, ignore this message.",
    )


def account_exists(to: str, origin: str, application: str) -> Mail:
    return Mail(
        to,
        f"You already have a {application} account",
        f"Someone, probably you, tried to sign up at {application} with this address. It already has an account:\n"
        f"sign in at {origin}/sign-in\n\nIf it was not you, there is nothing to do.\n",
        "account_exists",
    )


def password_changed(to: str, origin: str, application: str) -> Mail:
    return Mail(
        to,
        f"Your {application} password was changed",
        f"The password of your {application} account was just changed. If it was not you, reset it now:\n"
        f"{origin}/sign-in\n",
        "password_changed",
    )


def email_changed(to: str, application: str) -> Mail:
    return Mail(
        to,
        f"Your {application} e-mail addresses were changed",
        f"The e-mail addresses of your {application} account were just changed. If it was not you, change your password "
        "and end your other sessions.\n",
        "email_changed",
    )


def invitation(to: str, url: str, application: str) -> Mail:
    invited = f"You are invited to {application}"
    return _with_link(
        to, "invitation", invited, f"{invited}. Open this link to make your account:", url, _UNEXPECTED
    )


def organization_invitation(to: str, url: str, organization: str, application: str) -> Mail:
    invited = f"You are invited to join {organization}"
    return _with_link(
        to,
        "organization_invitation",
        invited,
        f"{invited} at {application}. Open this link to join:",
        url,
        _UNEXPECTED,
    )


def waitlist_confirmation(to: str, application: str) -> Mail:
    waiting = f"You are on the waitlist of {application}"
    return Mail(
        to,
        waiting,
        f"{waiting}. A message with a link follows when your place is ready.\n\n"
        "If it was not you who joined, there is nothing to do.\n",
        "waitlist_confirmation",
    )


def waitlist_invitation(to: str, url: str, application: str) -> Mail:
    ready = f"Your place at {application} is ready"
    return _with_link(to, "waitlist_invitation", ready, f"{ready}. Open this link to make your account:", url)


_UNEXPECTED = " If you expected no invitation, ignore this message."


def _with_code(to: str, kind: str, subject: str, sentence: str, otherwise: str) -> Mail:
    text = f"{sentence}\n\nIt is good for 10 minutes, once. {otherwise}\n"
    return Mail(to, subject, text, kind)


def _with_link(to: str, kind: str, subject: str, sentence: str, url: str, otherwise: str = "") -> Mail:
    text = f"{sentence}\n{url}\n\nIt works once and is yours alone.{otherwise}\n"
    return Mail(to, subject, text, kind)

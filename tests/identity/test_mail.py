"""Messages and the queue that carries them."""

from __future__ import annotations

import io

import pytest

from doorward.identity import ConsoleMailer, DevelopmentInbox, Mail, SmtpMailer
from doorward.identity.mail import MailQueue, verification_code
from tests.conftest import ClockForTests

pytestmark = pytest.mark.anyio


class BrokenMailer:
    async def send(self, message: Mail) -> None:
        raise ConnectionRefusedError("no mail server")


async def test_the_console_shows_who_gets_which_code():
    stream = io.StringIO()
    await ConsoleMailer(stream).send(verification_code("ada@example.com", "123456", "Doorward"))
    assert "ada@example.com" in stream.getvalue()
    assert "123456" in stream.getvalue()


async def test_the_inbox_keeps_the_last_two_hundred_newest_first(clock: ClockForTests):
    inbox = DevelopmentInbox(clock)
    for number in range(205):
        await inbox.send(Mail("a@b.c", str(number), "text", "test"))
    assert len(inbox.messages) == 200
    assert inbox.messages[0].mail.subject == "204"


async def test_a_mail_server_that_is_down_breaks_no_request_and_its_log_holds_no_code(caplog):
    queue = MailQueue(BrokenMailer())
    queue.post(verification_code("ada@example.com", "123456", "Doorward"))
    await queue.drain()
    assert "verification_code" in caplog.text
    assert "123456" not in caplog.text


async def test_an_address_cannot_smuggle_a_header():
    mailer = SmtpMailer(host="127.0.0.1", port=1, sender="Doorward <door@example.com>", tls="none")
    with pytest.raises(ValueError, match=r"(?i)linefeed|newline|header"):
        await mailer.send(Mail("a@b.c\r\nBcc: x@y.z", "subject", "text", "test"))


def test_a_password_never_travels_to_a_mail_server_without_tls():
    with pytest.raises(ValueError, match="TLS"):
        SmtpMailer(host="mail", port=25, sender="a@b.c", username="u", password="p", tls="none")


def test_a_message_does_not_show_its_text_in_a_repr():
    assert "123456" not in repr(Mail("a@b.c", "subject", "code 123456", "test"))

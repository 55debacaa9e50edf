"""The mail about a linked machine: what it says, and what a machine's name cannot make it say."""

from __future__ import annotations

import pytest

from doorward.identity.link_news import LinkNews, foreign_letters, machine_linked, shown_name
from doorward.identity.mail import Mail, SmtpMailer


def mail(label: str, **changes: object) -> Mail:
    known = {"user_id": "user_1", "kind": "linked", "source": "203.0.113.7", "happened_at": 1_800_000_000_000}
    news = LinkNews(label=label, **(known | changes))  # type: ignore[arg-type]
    return machine_linked(
        "ada@example.com", news, origin="https://accounts.example.com", application="Doorward"
    )


def test_the_mail_says_what_when_from_where_and_how_to_undo_it() -> None:
    told = mail("workbench")
    assert told.subject == "“workbench” was linked to your Doorward account"
    assert "on 15 January 2027 at 08:00 UTC, from 203.0.113.7." in told.text
    assert "https://accounts.example.com/machines" in told.text
    assert "Look closely" not in told.text


def test_an_address_nobody_knows_is_not_invented() -> None:
    assert "at 08:00 UTC.\n" in mail("workbench", source="").text


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("work\r\nBcc: eve@example.com", "work Bcc: eve@example.com"),
        ("work\u202ehcneb", "work hcneb"),
        ("  a\u2003b\x00\u200b ", "a b"),
        ("\u200b", "a machine without a name"),
        ("w" * 500, "w" * 80),
    ],
)
def test_a_name_is_one_visible_line(label: str, shown: str) -> None:
    assert shown_name(label) == shown
    composed = SmtpMailer(host="localhost", port=25, sender="door@example.com", tls="none")._compose(
        mail(label)
    )
    assert composed["To"] == "ada@example.com"
    assert "Bcc" not in composed


@pytest.mark.parametrize("label", ["workbench", "Büro", "Łódź", "Домашний", "工作台", "studio 3"])
def test_a_name_of_one_alphabet_is_nothing_to_warn_of(label: str) -> None:
    assert foreign_letters(label) is None


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("wоrkbench", "“о” (cyrillic small letter o)"),
        ("Αttic", "“Α” (greek capital letter alpha)"),
        ("dısk", "“ı” (latin small letter dotless i)"),
    ],
)
def test_a_letter_that_passes_for_another_is_named(label: str, named: str) -> None:
    warning = foreign_letters(label)
    assert warning is not None
    assert named in warning
    assert warning in mail(label).text

"""The mail about a machine that was linked to an account.

The relay knows of links and not of addresses, so `server` brings each notice here. The machine's name is its own word:
it may be made to look like another machine's, and it must not be able to write the mail.
"""

import unicodedata
from datetime import UTC, datetime
from typing import Literal

import msgspec

from doorward.identity.mail import Mail

#: Longer names are cut: this one stands in a subject.
_NAME_LENGTH = 80
_LATIN_ENDS = 0x250
#: Of the Latin alphabets too, and made to pass for `i` and `l`.
_LATIN_LOOKALIKES = frozenset("ıƖǀ")


class LinkNews(msgspec.Struct, frozen=True, kw_only=True):
    """`source` is an address, or empty where none is known. `happened_at` in ms."""

    user_id: str
    label: str
    kind: Literal["linked", "renamed", "rekeyed"]
    source: str
    happened_at: int


_SUBJECTS = {
    "linked": "was linked to your {application} account",
    "renamed": "took this name in your {application} account",
    "rekeyed": "was linked anew to your {application} account",
}
_SENTENCES = {
    "linked": "The machine “{name}” was linked to your account",
    "renamed": "A machine of your account took the name “{name}”",
    "rekeyed": "The machine “{name}” was linked to your account with another key than before",
}


def machine_linked(to: str, news: LinkNews, *, origin: str, application: str) -> Mail:
    name = shown_name(news.label)
    moment = datetime.fromtimestamp(news.happened_at / 1000, UTC)
    when = f"on {moment.day} {moment:%B %Y at %H:%M} UTC"
    where = f", from {news.source}" if news.source else ""
    warning = foreign_letters(name)
    return Mail(
        to,
        f"“{name}” {_SUBJECTS[news.kind].format(application=application)}",
        f"{_SENTENCES[news.kind].format(name=name)} {when}{where}.\n\n"
        + (f"{warning}\n\n" if warning else "")
        + "If it was you, there is nothing to do.\n\n"
        "If it was not, do not open it: whoever linked it would see what you type there. Unlink it, then change your "
        f"password:\n{origin}/machines\n{origin}/account\n",
        "machine_linked",
    )


def shown_name(label: str) -> str:
    """The name on one line, without what cannot be seen: line breaks would end a header, others turn text around."""
    visible = "".join(letter if unicodedata.category(letter)[0] not in "CZ" else " " for letter in label)
    return " ".join(visible.split())[:_NAME_LENGTH] or "a machine without a name"


def foreign_letters(name: str) -> str | None:
    """A sentence that names the letters which may pass for others; None where there are none.

    Those of the Latin alphabets (`ü`, `ł`) are what they look like, and so is a name all in another alphabet.
    """
    letters = {letter for letter in name if letter.isalpha()}
    foreign = sorted(
        letter for letter in letters if ord(letter) >= _LATIN_ENDS or letter in _LATIN_LOOKALIKES
    )
    if not foreign or len(foreign) == len(letters):
        return None
    told = ", ".join(
        f"“{letter}” ({unicodedata.name(letter, f'U+{ord(letter):04X}').lower()})" for letter in foreign[:5]
    )
    return f"Look closely: letters of this name are of another alphabet than they may seem: {told}."

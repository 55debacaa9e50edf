"""What people write into one line of a form, read or refused."""

from doorward.identity.errors import (
    FORM_PARAM_FORMAT_INVALID,
    FORM_PARAM_MAX_LENGTH,
    FORM_PARAM_NIL,
    FORM_PARAM_VALUE_INVALID,
    Refused,
)

#: Of what is counted: members, organizations.
MOST = 999_999


def none_of_these(param: str) -> Refused:
    """For a choice that its field does not offer."""
    return Refused(FORM_PARAM_VALUE_INVALID.at(param, long_message="Choose one of these."))


def text_in(param: str, text: str, *, most: int = 255) -> str | None:
    """What was written, without blanks around it; None for nothing. Raises Refused (422): nothing is cut off."""
    written = text.strip()
    if len(written) > most:
        raise Refused(FORM_PARAM_MAX_LENGTH.at(param, long_message=f"Write at most {most} characters."))
    return written or None


def name_in(param: str, text: str, *, least: int = 1, most: int = 255) -> str:
    """A name without blanks around it. Raises Refused (422)."""
    name = text_in(param, text, most=most)
    if name is None:
        raise Refused(FORM_PARAM_NIL.at(param))
    if len(name) < least:
        raise Refused(FORM_PARAM_FORMAT_INVALID.at(param, long_message=f"Write at least {least} characters."))
    return name


def whole_number_in(param: str, text: str, *, least: int, most: int) -> int:
    """Raises Refused (422) that names the bounds."""
    digits = text.strip()
    if (
        digits.isascii()
        and digits.isdigit()
        and len(digits) <= len(str(most))
        and least <= int(digits) <= most
    ):
        return int(digits)
    raise Refused(
        FORM_PARAM_FORMAT_INVALID.at(param, long_message=f"Write a whole number from {least} to {most}.")
    )


def words_in(text: str) -> tuple[str, ...]:
    """What stands between blanks, commas and line breaks, each once, in order."""
    return tuple(dict.fromkeys(text.replace(",", " ").split()))

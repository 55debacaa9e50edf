"""What people write into one line of a form, read or refused."""

from doorward.identity.errors import FORM_PARAM_FORMAT_INVALID, FORM_PARAM_MAX_LENGTH, FORM_PARAM_NIL, Refused

#: Of what is counted: members, organizations.
MOST = 999_999


def name_in(param: str, text: str, *, least: int = 1, most: int = 255) -> str:
    """A name without blanks around it. Raises Refused (422)."""
    name = text.strip()
    if not name:
        raise Refused(FORM_PARAM_NIL.at(param))
    if len(name) < least:
        raise Refused(FORM_PARAM_FORMAT_INVALID.at(param, long_message=f"Write at least {least} characters."))
    if len(name) > most:
        raise Refused(FORM_PARAM_MAX_LENGTH.at(param))
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

"""What people read: sentences for the codes of refusals, words for scopes, browsers and places."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from doorward.identity.errors import Problem, Refused

# A refusal's code, as a person should read it beside the field it belongs to. Codes that are not here speak for
# themselves: their own sentence is shown.
SENTENCES = {
    "form_password_or_identifier_incorrect": "The e-mail address or the password is not right.",
    "form_password_incorrect": "This password is not right.",
    "form_password_compromised": "Others may know this password. “Forgot the password?” mails you a code for a new one.",
    "form_password_validation_failed": "This is not your current password.",
    "form_password_length_too_short": "Use at least 8 characters. A few words in a row are easy to remember.",
    "form_password_length_too_long": "Use at most 256 characters.",
    "form_password_not_strong_enough": "This password is among the first ones an attacker would try. Use a few words of your own.",
    "form_password_matches_identifier": "This password is too close to your e-mail address. Use a few other words.",
    "form_new_password_matches_current": "This is the password you already have. Choose another.",
    "form_identifier_not_found": "The e-mail address or the password is not right.",
    "form_identifier_exists": "This address already has an account. Sign in instead.",
    "form_code_incorrect": "This is not the code of the newest e-mail. Check its six digits.",
    "form_param_nil": "Fill this in.",
    "form_param_missing": "Fill this in.",
    "verification_expired": "This code is too old. Ask for a new one.",
    "verification_failed": "Too many codes were tried. Ask for a new one.",
    "verification_code_too_many_requests": "A code was sent a moment ago. It can take a minute to arrive.",
    "sign_up_mode_restricted": "Accounts are made by invitation here. Ask the person who runs this server for one.",
    "ticket_invalid_code": "This invitation is not valid. Ask for a new one.",
    "ticket_expired_code": "This invitation is too old. Ask for a new one.",
    "revoked_invitation": "This invitation was taken back. Ask for a new one.",
    "invitation_already_accepted": "This invitation was used. Sign in with the account it made.",
    "sign_in_token_already_used_code": "This link was used: it signs in once. Ask for a new one.",
    "sign_in_token_revoked_code": "This link was taken back. Ask for a new one.",
    "actor_token_already_used_code": "This link was used: it signs in once. Ask for a new one.",
    "actor_token_revoked_code": "This link was taken back. Ask for a new one.",
    "csrf_token_invalid": "This form was sent from another site, or by a browser that does not say from where. Nothing was changed.",
    "user_locked": "This account is locked for a while, because of too many wrong passwords.",
    "user_banned": "This account was closed by an administrator.",
    "service_overloaded": "Many people are signing in at this moment. Try again in a few seconds.",
    "request_body_invalid": "The form could not be read. Go back and send it again.",
    "oauth_authorize_request_error": "The application that sent you here asked in a way this server does not accept. Nothing was shared with it.",
    "internal_clerk_error": "Something went wrong on the server. It was written to its log.",
}
_EMAIL_FIELDS = ("identifier", "email_address")


def sentence(
    problem: Problem, retry_after: int | None = None, instead: Mapping[str, str] = MappingProxyType({})
) -> str:
    """What to tell a person about one problem. `instead` has other sentences for other readers, by code."""
    if problem.status == 429 and problem.code == "too_many_requests":
        return f"Too many attempts. Try again {_in(retry_after)}."
    if problem.code == "form_param_format_invalid" and problem.param in _EMAIL_FIELDS:
        return "This is not an e-mail address. It looks like ada@example.com."
    told = instead.get(problem.code) or SENTENCES.get(problem.code, problem.text)
    return f"{told} Try again {_in(retry_after)}." if problem.code == "user_locked" else told


def detail(problem: Problem) -> str | None:
    """What the developer of an application needs to know, shown small below the sentence for everybody."""
    return problem.text if problem.code == "oauth_authorize_request_error" else None


def errors_by_field(
    refused: Refused,
    fields: Mapping[str, str],
    *,
    otherwise: str = "",
    instead: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Sentences by the name of the form's field they stand beside. `fields` maps the services' parameter names to
    the form's; a problem of no field goes to `otherwise` ("" is the notice above the form)."""
    told: dict[str, str] = {}
    for problem in refused.errors:
        told.setdefault(
            fields.get(problem.param or "", otherwise), sentence(problem, refused.retry_after, instead)
        )
    return told


def _in(seconds: int | None) -> str:
    if seconds is None:
        return "in a little while"
    if seconds < 120:
        return "in a second" if seconds <= 1 else f"in {seconds} seconds"
    return f"in {-(-seconds // 60)} minutes"


_SCOPES = {
    "openid": "Know that it is you",
    "profile": "See your name",
    "email": "See your e-mail address",
    "public_metadata": "See what applications stored in your public profile",
    "private_metadata": "See what the server stored in your private profile",
    "offline_access": "Stay signed in until you sign it out",
}


def scope_words(scope: str) -> str:
    """A scope in words; one this server does not know is shown by its name, so that nothing is granted unseen."""
    return _SCOPES.get(scope, scope)


# The first that matches names the browser: most of them also claim to be the ones below.
_BROWSERS = (
    (r"doorward", "Doorward in a terminal"),
    (r"Edg(e|A|iOS)?/", "Edge"),
    (r"OPR/|Opera", "Opera"),
    (r"SamsungBrowser/", "Samsung Internet"),
    (r"Firefox/|FxiOS/", "Firefox"),
    (r"Chrome/|Chromium/|CriOS/", "Chrome"),
    (r"Safari/", "Safari"),
    (r"curl/", "curl"),
)
_SYSTEMS = (
    (r"iPhone", "iPhone"),
    (r"iPad", "iPad"),
    (r"Android", "Android"),
    (r"CrOS", "ChromeOS"),
    (r"Windows", "Windows"),
    (r"Mac OS X|Macintosh", "macOS"),
    (r"Linux", "Linux"),
)


def browser_words(user_agent: str) -> str:
    """`Firefox on Linux`, from what the browser says of itself; good for recognising one's own, not for deciding."""
    browser = next(
        (name for pattern, name in _BROWSERS if re.search(pattern, user_agent, re.IGNORECASE)), None
    )
    system = next((name for pattern, name in _SYSTEMS if re.search(pattern, user_agent)), None)
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or "An unknown browser"


def address_words(ip: str) -> str:
    return "this machine" if ip in ("127.0.0.1", "::1") else ip or "unknown address"

"""Whether two clocks are too far apart for what one signs to be believed by the other."""

from email.utils import parsedate_to_datetime

from doorward.outbound.client import Response

TOLERATED_SECONDS = 60


def clocks_apart(answer: Response, now: int) -> str | None:
    """A sentence for a person when the `Date` of an answer (RFC 9110 §6.6.1) is more than a minute from `now`, in ms.

    For the refusals of a server that checks times: it may not say which check failed, and the clock that is wrong may
    be either.
    """
    try:
        difference = parsedate_to_datetime(answer.headers["date"]).timestamp() - now / 1000
    except (KeyError, ValueError):
        return None
    if abs(difference) <= TOLERATED_SECONDS:
        return None
    direction = "behind" if difference > 0 else "ahead of"
    return (
        f"This computer's clock is {_duration(abs(difference))} {direction} the server's. Set the one that is wrong, "
        "then try again."
    )


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{round(seconds / 3600)} hours"

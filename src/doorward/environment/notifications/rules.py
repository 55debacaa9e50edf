"""What a notification says and how many there are. Pure; times in milliseconds."""

from doorward.environment.approvals.rules import Client
from doorward.push import Alert

WINDOW_MS = 10 * 60_000
MOST_IN_WINDOW = 6
"""An account can make a new key, and with it a new request, as often as it signs in. The page lists them all."""

MAX_SUBSCRIPTIONS = 20
LIVES_MS = 10 * 60_000
"""How long a push service keeps a message for a browser that is away; what is older is on the page."""

#: One notification at a time: a newer request replaces an older one on the screen.
TAG = "doorward-knock"
_LONGEST_LABEL = 60


def may_tell(told_in_window: int) -> bool:
    return told_in_window < MOST_IN_WINDOW


def is_waiting(client: Client | None, requested_since: int) -> bool:
    """Whether the request a notice was written for still waits for a decision."""
    return (
        client is not None
        and client.revoked_at is None
        and client.status == "pending"
        and client.requested_at >= requested_since
    )


def alert_for(client: Client, machine: str) -> Alert:
    """The device's own name for itself, as a quotation, and none of its six words.

    A phrase in a notification would be compared there, where it is cut short and a glance is enough; whoever needs to
    match two words only finds a key that has them in an hour. All six are on the page, large, and nowhere else.
    """
    label = " ".join((client.label or "").split())
    if len(label) > _LONGEST_LABEL:
        label = label[: _LONGEST_LABEL - 1].rstrip() + "…"
    who = f"“{label}”" if label else "A device without a name"
    return Alert(
        title="A device asks to be let in",
        body=f"{who} asks for {machine}. Compare its six words before you approve it.",
        data={},
        tag=TAG,
    )

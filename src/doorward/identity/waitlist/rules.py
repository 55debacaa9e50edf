"""What may become of an entry. Pure."""

from __future__ import annotations

from typing import Literal

from doorward.identity.errors import (
    WAITLIST_ENTRY_ALREADY_COMPLETED,
    WAITLIST_ENTRY_ALREADY_INVITED,
    WAITLIST_ENTRY_ALREADY_REJECTED,
    Problem,
)

WaitlistStatus = Literal["pending", "invited", "completed", "rejected"]
WaitlistStep = Literal["invite", "reject", "delete"]

_FROM: dict[WaitlistStep, tuple[WaitlistStatus, ...]] = {
    "invite": ("pending",),
    "reject": ("pending", "invited"),
    "delete": ("pending",),
}
_PROBLEMS: dict[WaitlistStatus, Problem] = {
    "invited": WAITLIST_ENTRY_ALREADY_INVITED,
    "completed": WAITLIST_ENTRY_ALREADY_COMPLETED,
    "rejected": WAITLIST_ENTRY_ALREADY_REJECTED,
}


def step_problem(step: WaitlistStep, status: WaitlistStatus) -> Problem | None:
    """Why the step cannot be taken from here, or None. Raises KeyError for a stored status nobody knows."""
    return None if status in _FROM[step] else _PROBLEMS[status]

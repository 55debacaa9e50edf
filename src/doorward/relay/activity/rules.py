"""What is shown of the agents' work, and what a device is sent of it. Pure; times in milliseconds."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from doorward.push import Alert
from doorward.relay.devices.store import ReachableDevice
from doorward.t3_connect.messages import ActivityState, Aggregate, AggregateRow, Phase, Preferences

TERMINAL: frozenset[Phase] = frozenset({"completed", "failed"})
KEEP_TERMINAL_MS = 30 * 60_000
SPACING_MS = 15_000
"""iOS gives an app a budget of live updates; what cannot wait is told by `_is_urgent`."""

MOST_THREADS = 200
"""How many threads of one environment are kept; older ones give way, so that nobody fills the table."""

MOST_ROWS = 5
MOST_ROWS_BASE = 3
_LONGEST_TITLE = 120
_LONGEST_STATUS = 40
_LONGEST_LINK = 512
# APNs takes 4,096 bytes with everything around them, and the aggregate is JSON inside JSON there.
MOST_CONTENT_BYTES = 2_800

_STATUS: dict[Phase, str] = {
    "starting": "Starting",
    "running": "Working",
    "waiting_for_approval": "Approval",
    "waiting_for_input": "Input",
    "completed": "Done",
    "failed": "Failed",
    "stale": "Waiting",
}
_WAITING: frozenset[Phase] = frozenset({"waiting_for_approval", "waiting_for_input"})

LiveEvent = Literal["start", "update", "end"]


def cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3].rstrip() + "..."


def relative_link(link: str) -> str:
    """A deep link opens something of the app, never another host: `//host` would be one."""
    return cut(link, _LONGEST_LINK) if link.startswith("/") and not link.startswith("//") else "/"


def row_of(state: ActivityState) -> AggregateRow:
    return AggregateRow(
        environment_id=state.environment_id,
        thread_id=state.thread_id,
        project_title=cut(state.project_title, _LONGEST_TITLE),
        thread_title=cut(state.thread_title, _LONGEST_TITLE),
        model_title=cut(state.model_title, _LONGEST_TITLE),
        phase=state.phase,
        status=cut(_STATUS[state.phase], _LONGEST_STATUS),
        updated_at=state.updated_at,
        deep_link=relative_link(state.deep_link),
    )


def aggregate_of(states: Sequence[ActivityState], *, most_rows: int = MOST_ROWS) -> Aggregate | None:
    """All threads in one: those at work first, newest first, then the finished ones. None when there are none."""
    if not states:
        return None
    active = [state for state in states if state.phase not in TERMINAL]
    finished = [state for state in states if state.phase in TERMINAL]
    if active:
        subtitle = "Agent work in progress"
    else:
        subtitle = "Agent work failed" if finished[0].phase == "failed" else "Agent work completed"
    aggregate = Aggregate(
        title="T3 Code",
        subtitle=subtitle,
        active_count=len(active),
        updated_at=max(state.updated_at for state in active or finished),
        activities=tuple(row_of(state) for state in (*active, *finished)[:most_rows]),
    )
    return _fitting(aggregate)


def _fitting(aggregate: Aggregate) -> Aggregate:
    """Rows are left out from the end until the rest fits into a notification; the count still tells of them."""
    while len(aggregate.activities) > 1 and len(msgspec.json.encode(aggregate)) > MOST_CONTENT_BYTES:
        aggregate = msgspec.structs.replace(aggregate, activities=aggregate.activities[:-1])
    return aggregate


def live_aggregate(
    states: Sequence[ActivityState], published: ActivityState | None, *, is_base: bool
) -> Aggregate | None:
    """What live activities show after a publication: work in progress, else how the published thread ended.

    `is_base`: as the original, which shows three threads and none that is finished.
    """
    if any(state.phase not in TERMINAL for state in states):
        if is_base:
            active = [state for state in states if state.phase not in TERMINAL]
            return aggregate_of(active, most_rows=MOST_ROWS_BASE)
        return aggregate_of(states)
    if published is not None and published.phase in TERMINAL:
        return aggregate_of([published])
    return None


def live_event(device: ReachableDevice, aggregate: Aggregate | None, now: int) -> LiveEvent | None:
    """What, if anything, a device's live activity is told. `aggregate` without active threads ends it, as its last state."""
    live = device.live
    can_end = live.is_active and live.push_token is not None
    if not device.preferences.live_activities_enabled:
        return "end" if can_end else None
    if aggregate is None or aggregate.active_count == 0:
        return "end" if can_end else None
    if not live.is_active:
        return "start" if device.push_to_start_token is not None else None
    if live.push_token is None:
        return None  # a start is under way; the device tells its token when it has begun
    return "update" if _is_worth_an_update(device, aggregate, now) else None


def _is_worth_an_update(device: ReachableDevice, aggregate: Aggregate, now: int) -> bool:
    last = device.live.last_aggregate
    if last is None or last.active_count != aggregate.active_count or _is_urgent(aggregate):
        return True
    told_at = device.live.last_delivery_at
    return last != aggregate and (told_at is None or now - told_at >= SPACING_MS)


def _is_urgent(aggregate: Aggregate) -> bool:
    return any(row.phase in _WAITING for row in aggregate.activities)


def wants_alert(preferences: Preferences, phase: Phase) -> bool:
    wanted = {
        "waiting_for_approval": preferences.notify_on_approval,
        "waiting_for_input": preferences.notify_on_input,
        "completed": preferences.notify_on_completion,
        "failed": preferences.notify_on_failure,
    }
    return preferences.notifications_enabled and wanted.get(phase, False)


def alert_of(row: AggregateRow) -> Alert:
    return Alert(
        title=row.thread_title,
        body=f"{row.status}: {row.project_title}",
        data={
            "environmentId": row.environment_id,
            "threadId": row.thread_id,
            "deepLink": row.deep_link,
        },
        tag=row.thread_id,
    )

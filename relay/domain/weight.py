"""How much a second of lag of one task weighs beside another's: few classes, as each stands on a shelf of its own.

Measured for the project: a weight of 16 for a small client beside another's burst of 3,000 cut its lag from 324 to
17 s and left the overall mean as it was; above 64 the favoured tasks are polled over and over, to nobody's gain.
"""

from math import log

from relay.domain.task import Task

STEP = 4
CLASSES = (1, 4, 16, 64)
HALF_TIME, LAST_FIFTH = 0.5, 0.8  # of the time between registration and deadline


def weight(task: Task, *, client_share: float, now: float) -> int:
    """Return the task's weight class: 1, 4, 16 or 64.

    `client_share` in (0, 1] is its client's part of the account's pending tasks. Each factor of four in waiters, or
    in how much smaller than an even half the client's part is, is worth a class; so are half and four fifths of the
    way to its deadline.
    """
    classes = log(len(task.waiters) or 1, STEP) + max(0.0, log(0.5 / client_share, STEP)) + _urgency(task, now)
    return CLASSES[min(int(classes), len(CLASSES) - 1)]


def _urgency(task: Task, now: float) -> int:
    passed = now - task.registered_at
    allowed = task.deadline_at - task.registered_at
    return (passed > HALF_TIME * allowed) + (passed > LAST_FIFTH * allowed)


def next_change_at(task: Task, *, now: float) -> float | None:
    """Return when the nearing deadline next changes the weight (Unix seconds), or None when it will not."""
    allowed = task.deadline_at - task.registered_at
    moments = (task.registered_at + part * allowed for part in (HALF_TIME, LAST_FIFTH))
    return min((moment for moment in moments if moment > now), default=None)

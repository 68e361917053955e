"""Crash points: named places at which a process can be told to die, for the fault suite alone.

`CRASH_RELAY_AT=poll.answered` kills a process with SIGKILL the first time that it gets there, and
`CRASH_RELAY_AT=poll.answered:7ba60ab0` when it gets there with that RequestID or registration id. The name does not
begin with RELAY_: it is no setting, and no typing error of one can arm it. Unset, a crash point is one comparison.
"""

import os
import signal
from enum import StrEnum

from relay.domain.errors import SettingError

VARIABLE = "CRASH_RELAY_AT"


class Point(StrEnum):
    """Where a process can be told to die; each is passed with the RequestID or the registration's id, or both.

    registered: the script has written the registration, the 201 is not sent yet.
    lane.taken: the lane is acquired, nothing was done with it yet (its id is the lane's name: `poll:default`).
    poll.picked: the task is about to be asked, in a slot that was granted.
    poll.answered: the upstream has answered, nothing of it is committed.
    poll.committed: what the answer means is committed (pending: is kept for the lane's next turn).
    expire.decided, expire.committed: before and after the commit that calls back those whose deadline has passed.
    delivery.claimed: the delivery is claimed and not looked at.
    delivery.written: its body is written, nothing is sent.
    delivery.posted: the receiver has answered, nothing of it is committed.
    delivery.committed: how the attempt ended is committed.
    """

    REGISTERED = "registered"
    LANE_TAKEN = "lane.taken"
    POLL_PICKED = "poll.picked"
    POLL_ANSWERED = "poll.answered"
    POLL_COMMITTED = "poll.committed"
    EXPIRE_DECIDED = "expire.decided"
    EXPIRE_COMMITTED = "expire.committed"
    DELIVERY_CLAIMED = "delivery.claimed"
    DELIVERY_WRITTEN = "delivery.written"
    DELIVERY_POSTED = "delivery.posted"
    DELIVERY_COMMITTED = "delivery.committed"


def reached(point: Point, *ids: str) -> None:
    """Die here if this process was told to."""
    if _armed is not None and point == _armed[0] and (not _armed[1] or _armed[1] in ids):
        os.kill(os.getpid(), signal.SIGKILL)


def arm(where: str) -> str | None:
    """Make this process die at `where`, a point's name or `<point>:<id>`; never when it is empty.

    Returns the point's name, or None. Raises SettingError when there is no such point.
    """
    global _armed  # noqa: PLW0603 - one process, one place to die at
    name, _, id_ = where.partition(":")
    if name and name not in set(Point):
        raise SettingError(f"{VARIABLE}: there is no crash point {name}; there are {', '.join(Point)}")
    _armed = (name, id_) if name else None
    return name or None


_armed: tuple[str, str] | None = None

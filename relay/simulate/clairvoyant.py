"""Clairvoyant: the best that the window admits to somebody who knows when each task ends."""

from collections import deque

from relay.domain.budget import Limit
from relay.simulate.run import Run, Seen
from relay.simulate.world import World


def clairvoyant(world: World, limit: Limit) -> Run:
    """Return the run in which each task is polled once, as soon after its end as the exact window admits.

    Served in the order in which they end, every k-th call is as early as can be, so no schedule that sends after
    the end has a lower mean or maximum. A call that happens to be on its way at the end can be half a round trip
    better. Somebody else's calls and the jitter are left out: with them it would be worse.
    """
    recent: deque[float] = deque(maxlen=limit.calls)
    seen: list[Seen] = []
    for life in sorted(world.lives, key=lambda life: life.final_at):
        full = len(recent) == limit.calls
        sent_at = max(life.final_at, recent[0] + limit.window_s) if full else life.final_at
        recent.append(sent_at)
        seen.append(Seen(life.submitted_at, life.final_at, sent_at + world.round_trip.rtt_s, 1))
    return Run(tuple(sorted(seen)), len(seen), 0, 0.0)

"""Policies: what can decide which task is polled next, by name."""

from collections.abc import Callable

from relay.domain.adaptive import Adaptive
from relay.domain.budget import Limit
from relay.domain.polling import Picker, RoundRobin

Policy = Callable[[Limit], Picker]  # makes the picker of an account that keeps to this limit

PRODUCTION = "adaptive"  # what the poll lanes use
POLICIES: dict[str, Policy] = {
    "adaptive": lambda limit: Adaptive(slot_s=limit.pace_s),
    "round-robin": lambda _limit: RoundRobin(),
}

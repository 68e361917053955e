"""Suspicion: which piece of work it is that kills the worker which tries it.

Work is not written down before it is tried: that would cost a write each. But once a holder has vanished, the next ones
of its lane go carefully for a while: what they try is named in the store first, and cleared once it is done. Whatever
stands there named when its holder vanishes too is a suspect. A suspect is tried alone, after a rest in which whatever
else kills can show itself, and is cleared by surviving. So what is innocent does not stay beside the guilty for long.
"""

from dataclasses import dataclass
from enum import StrEnum

KILLS_WORKER = "kills_worker"  # the reason that clients are told


class Standing(StrEnum):
    """How a piece of work is to be treated: as any other, alone, or not at all any more."""

    TRUSTED = "trusted"
    SUSPECT = "suspect"
    CONDEMNED = "condemned"


@dataclass(frozen=True, slots=True)
class SuspicionPolicy:
    """`care_s`: for how long a lane is worked carefully after a holder has vanished. `rest_s`: how long suspects wait.

    `deaths` in a row make a dead letter of it. The first of them is the one that began the care, before which nothing
    was named: so it counts from the second on for all that was named then.
    """

    deaths: int = 3
    care_s: float = 600.0
    rest_s: float = 5.0


def standing(deaths: int, policy: SuspicionPolicy) -> Standing:
    """Return how to treat what was being tried at the last of so many deaths in a row."""
    if deaths >= policy.deaths:
        return Standing.CONDEMNED
    return Standing.SUSPECT if deaths > 1 else Standing.TRUSTED

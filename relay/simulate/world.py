"""World: all that happens at the upstream whether or not it is polled, so that every policy meets the same."""

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from relay.domain.operations import Operation
from relay.simulate.arrivals import Arrivals
from relay.simulate.dice import dice
from relay.simulate.tails import Tails
from relay.simulate.work import Order, Work


class Life(NamedTuple):
    """A task: when it was submitted (and registered), and from when on its final status shows. Seconds from zero."""

    submitted_at: float
    final_at: float
    operation: Operation = Operation.LEAD_UPDATE


@dataclass(frozen=True)
class RoundTrip:
    """What a call takes: half of `rtt_s` each way, and each way an exponential delay of mean `jitter_s` more."""

    rtt_s: float = 0.08
    jitter_s: float = 0.0

    def way_s(self, random: Random) -> float:
        """Return how long one way takes."""
        return self.rtt_s / 2 + (random.expovariate(1 / self.jitter_s) if self.jitter_s else 0.0)


@dataclass(frozen=True)
class World:
    """The tasks of one account in the order of submission, the way there, and somebody else's calls a second.

    Where tasks are `begun_when_asked` about for the first time, their lives are shifted by so much.
    """

    lives: tuple[Life, ...]
    round_trip: RoundTrip = field(default_factory=RoundTrip)
    others_per_s: float = 0.0
    begun_when_asked: bool = False


@dataclass(frozen=True)
class Load:
    """A world in general: with a seed it becomes one in particular."""

    arrivals: Arrivals
    work: Work
    lasting_s: float
    tails: Tails = field(default_factory=Tails)
    round_trip: RoundTrip = field(default_factory=RoundTrip)
    others_per_s: float = 0.0

    def world(self, seed: int) -> World:
        """Draw the world of this seed."""
        submitted_at = self.arrivals.draw(dice(seed, "arrivals"), until_s=self.lasting_s)
        spans = self.work.spans(submitted_at, dice(seed, "work"))
        final_at = self.tails.final_at(submitted_at, spans, dice(seed, "tails"))
        return World(
            tuple(map(Life, submitted_at, final_at)),
            self.round_trip,
            self.others_per_s,
            begun_when_asked=self.work.order is Order.WHEN_ASKED,
        )

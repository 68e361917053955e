"""Experiment: what lag a load sees at a limit, and which limit a lag needs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from relay.domain.budget import Limit, effective_limit
from relay.simulate.clairvoyant import clairvoyant
from relay.simulate.policies import Policy
from relay.simulate.run import Run, simulate
from relay.simulate.summary import Summary, summarize
from relay.simulate.world import Load

_FASTEST_PER_S = 200.0
_CALLS_A_TASK = 4.0


@dataclass(frozen=True)
class Experiment:
    """A load on each of some accounts, each with a limit of which the relay may use its share, `hinted` or not.

    The accounts have nothing to do with each other: the first one's world is that of `seed`, the next one's of
    `seed` + 1, and so on.
    """

    load: Load
    limit: Limit
    share: float = 1.0
    accounts: int = 1
    seed: int = 0
    hinted: bool = False

    @property
    def budget(self) -> Limit:
        """What the relay keeps to."""
        return effective_limit(self.limit, None, self.share)

    def runs(self, policy: Policy) -> list[Run]:
        """Simulate the accounts one after the other, each with a picker of its own."""
        return [self._run(policy, seed) for seed in self._seeds()]

    def summary(self, runs: list[Run]) -> Summary:
        return summarize(runs, self.budget)

    def clairvoyant(self) -> Summary:
        """Return what a clairvoyant would come to."""
        return self.summary([clairvoyant(self.load.world(seed), self.budget) for seed in self._seeds()])

    def at(self, calls: int) -> "Experiment":
        """Return the same with so many calls a window."""
        return replace(self, limit=Limit(calls, self.limit.window_s))

    def _run(self, policy: Policy, seed: int) -> Run:
        world, picker = self.load.world(seed), policy(self.budget)
        return simulate(world, picker, self.limit, share=self.share, seed=seed, hinted=self.hinted)

    def _seeds(self) -> range:
        return range(self.seed, self.seed + self.accounts)


def find_limit(
    experiment: Experiment, policy: Policy, *, p99_s: float, tell: Callable[[Limit], None]
) -> Experiment | None:
    """Return the experiment with the least calls a window that show 99 % within `p99_s`, or None if none does.

    `tell` hears of each limit before it is tried; none is above `most_calls`.
    """

    def suffices(calls: int) -> bool:
        tried = experiment.at(calls)
        tell(tried.limit)
        return tried.summary(tried.runs(policy)).p99_s <= p99_s

    calls = least(suffices, most=most_calls(experiment))
    return None if calls is None else experiment.at(calls)


def most_calls(experiment: Experiment) -> int:
    """Return the calls a window beyond which no limit is looked for: more of them would only ask in vain."""
    tasks = len(experiment.load.world(experiment.seed).lives)
    rate = max(_FASTEST_PER_S, _CALLS_A_TASK * tasks / experiment.load.lasting_s)
    return ceil(rate * experiment.limit.window_s / experiment.share)


def least(suffices: Callable[[int], bool], *, most: int) -> int | None:
    """Return the least number from 1 to `most` that suffices, or None when none does.

    It is looked for by doubling and then by halving the interval, as if whatever is more than enough were enough.
    """
    enough, too_few = 1, 0
    while not suffices(enough):
        if enough == most:
            return None
        enough, too_few = min(2 * enough, most), enough
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if suffices(middle):
            enough = middle
        else:
            too_few = middle
    return enough

"""The view by age: tasks end independently of each other, the sooner or later by how old they are."""

from operator import itemgetter

from relay.domain.candidate import NOBODY, Candidate, Entry, Proposal, Shelves
from relay.domain.hazard import Hazard


class ByAge:
    """Predicts from a hazard by age. Times are Unix seconds."""

    def __init__(self) -> None:
        self.hazard = Hazard()
        self._shelves = Shelves()

    def put(self, entry: Entry) -> None:
        """Take in a candidate that may be picked."""
        candidate = entry.candidate
        self._shelves.push(entry, clock_s=candidate.age_at(candidate.unfinished_at))

    def best(self, then: float) -> Proposal:
        """Return the candidate that it would be worth most to have looked at by `then`."""
        proposals = (Proposal(head.weight * self.worth(head, then), head) for head in self._shelves.heads())
        return max(proposals, key=itemgetter(0), default=NOBODY)

    def worth(self, candidate: Candidate, then: float) -> float:
        """Return what it is worth (s) to have looked at it by `then`, its weight not counted."""
        return self.hazard.worth(candidate.age_at(candidate.unfinished_at), candidate.age_at(then))

    def chance(self, candidate: Candidate, at: float) -> float:
        """Return the chance that it is finished at `at`."""
        return self.hazard.chance(candidate.age_at(candidate.unfinished_at), candidate.age_at(at))

    def learn(self, candidate: Candidate, at: float, *, finished: bool) -> None:
        """Learn from a look at it at `at`."""
        self.hazard.learn(candidate.age_at(candidate.unfinished_at), candidate.age_at(at), finished=finished)

    def finished_by(self, candidate: Candidate, *, chance: float) -> float:
        """Return when it will have ended with this chance."""
        age_s = self.hazard.reached_at(candidate.age_at(candidate.unfinished_at), chance)
        return candidate.submitted_at + age_s

    def sweep(self) -> None:
        self._shelves.sweep()

    def __len__(self) -> int:
        return len(self._shelves)

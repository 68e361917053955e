"""Adaptive: the earliest detection that the budget permits, and nobody starved.

Round robin is near the best there is when nothing tells the tasks apart. Mostly something does: how old they are, and
in which order they end. The `Outlooks` learn both from the answers alone; this class keeps who may be picked and
guards the promise that holds whatever the outlook believes.

The promise: between two looks at a task lie at most max(900 s, 4 turns) and another 4 turns, a turn being one slot for
each pending task. So no change of the world makes any task's lag greater than that, whatever was learned before.
The derivation, and what each constant costs when it is changed, is in the project's notes on polling.
"""

from heapq import heappop, heappush
from itertools import count

from relay.domain.answer import Answer, AnswerKind
from relay.domain.backlog import Backlog
from relay.domain.candidate import NOWHERE, Candidate, Line, by_last_look
from relay.domain.newcomers import Newcomers
from relay.domain.operations import Operation
from relay.domain.outlooks import Outlooks
from relay.domain.task import Task

SLOT_S = 0.2  # 25 calls in 5 s, evenly
PROMISE_S = 900.0  # a shorter one spends the budget on hopeless tasks: 300 s cost 1 % of the mean, 15 % with tails
PROMISE_TURNS = 4
GUARD_EVERY = 4  # the guard takes at most every fourth pick
MOST_WEIGHT = 64.0  # a heavier task would be asked over and over while it is unfinished
PRICE_KEPT = 0.98  # what a look has been worth of late: about the last 50
PRICE_STEPS = 8  # halvings of a time ahead, to find when a look will be worth so much
SWEEP_AFTER = 1_000  # entries left behind, beside as many as there are tasks

_TELLING = {AnswerKind.FINAL, AnswerKind.PENDING}


class Adaptive:
    """A `Picker` that learns. Times are Unix seconds.

    `slot_s` is the time between two calls that the account's limit allows; set it when the limit changes.
    """

    def __init__(self, *, slot_s: float = SLOT_S) -> None:
        self.slot_s = slot_s
        self._candidates: dict[str, Candidate] = {}
        self._asked_at: dict[str, float] = {}
        self._rests_until: dict[str, float] = {}
        self._resting: list[tuple[float, Candidate]] = []
        self._line = Line()
        self._outlooks = Outlooks()
        self._newcomers = Newcomers()
        self._arrivals, self._places = count(1), count(NOWHERE + 1)
        self._picks = self._left_behind = 0
        self._passed: list[Candidate] = []
        self._price = 0.0  # s

    def add(self, key: str, task: Task, *, now: float, weight: float = 1.0) -> None:
        """Take in a task; of one already known only the weight is news.

        `weight` (at most 64, and of few different values) says how many times as bad a second of its lag is.
        """
        weight = min(MOST_WEIGHT, weight)
        candidate = self._candidates.get(key)
        if candidate is None:
            candidate = self._candidates[key] = _candidate(key, task, weight, arrival=next(self._arrivals), now=now)
            self._outlooks.of(candidate).add(candidate)
            self._put(candidate)
        elif candidate.weight != weight:
            candidate.weight = weight
            if candidate.place != NOWHERE:
                self._leave()
                self._put(candidate)

    def pick(self, *, now: float) -> str | None:
        """Return the task to poll now, or None when none can be; it counts as being polled until `answered`."""
        self._wake(now)
        candidate = self._choose(now)
        if candidate is None:
            return None
        outlook = self._outlooks.of(candidate)
        self._price += (1 - PRICE_KEPT) * (outlook.worth(candidate, now + self.slot_s) - self._price)
        candidate.place = NOWHERE
        self._leave()
        self._asked_at[candidate.key] = now
        outlook.take(candidate, now)
        return candidate.key

    def answered(self, key: str, answer: Answer, *, now: float, rest_s: float = 0.0) -> None:
        """Hear that the poll of `key` was answered; to be told of a final answer too, before the `drop`.

        An answer that tells nothing of the task leaves it as if it had not been asked.
        """
        candidate, asked_at = self._candidates.get(key), self._asked_at.pop(key, None)
        if candidate is None or asked_at is None:
            return
        self._outlooks.of(candidate).give_back(candidate)
        if answer.kind in _TELLING:
            self._learn(candidate, (asked_at + now) / 2, finished=answer.kind is AnswerKind.FINAL)
        if rest_s > 0:
            self._rests_until[key] = now + rest_s
            heappush(self._resting, (now + rest_s, candidate))
        else:
            self._put(candidate)

    def drop(self, key: str) -> None:
        """Forget a task."""
        candidate = self._candidates.pop(key, None)
        if candidate is None:
            return
        self._asked_at.pop(key, None)
        self._rests_until.pop(key, None)
        candidate.place = NOWHERE
        self._outlooks.of(candidate).drop(candidate)
        self._leave()

    def ready_at(self, *, now: float) -> float | None:
        """Return when a task can be picked, or None when only an answer or a new task can change that."""
        self._wake(now)
        if self._line.head() is not None:
            return now
        return self._resting[0][0] if self._resting else None

    def ahead(self) -> dict[Operation, int]:
        """Return how many tasks of each operation have their turn in its queue yet to come."""
        return self._outlooks.ahead()

    def hear(self, operation: Operation, backlog: Backlog, *, asked_at: float, now: float) -> bool:
        """Hear how an operation's queue stands upstream, and return whether that was news."""
        self._passed = self._outlooks.hear(operation, backlog, (asked_at + now) / 2)
        return len(self._passed) > 0

    def passed(self) -> list[str]:
        """Return the keys of those that the last answer or hint has overtaken: their looks are to be written too."""
        return [candidate.key for candidate in self._passed]

    def learned_of(self, key: str) -> tuple[float | None, float | None]:
        """Return when a task was first looked at, and when a later one was first seen finished.

        Both are to be written with its looks, as the lane's next holder could not tell.
        """
        candidate = self._candidates.get(key)
        if candidate is None or candidate.ended:
            return None, None
        return candidate.first_look_at, candidate.overtaken_at

    def finished_by(self, key: str, *, now: float, chance: float) -> float | None:
        """Return when the task will have ended with this chance (over 0, under 1); None for an unknown one."""
        candidate = self._candidates.get(key)
        return (
            None if candidate is None else max(now, self._outlooks.of(candidate).finished_by(candidate, chance=chance))
        )

    def next_look_at(self, key: str, *, now: float) -> float | None:
        """Return about when it will be looked at again: once that is worth what looks have been worth of late.

        That is never later than the guard has it, give or take its own queue; None for an unknown task.
        """
        candidate = self._candidates.get(key)
        if candidate is None:
            return None
        outlook = self._outlooks.of(candidate)
        sooner, later = now, max(now, self._due_at(candidate))
        for _ in range(PRICE_STEPS):
            middle = (sooner + later) / 2
            if outlook.worth(candidate, middle) < self._price:
                sooner = middle
            else:
                later = middle
        return max(later, self._rests_until.get(key, later))

    def model(self) -> bytes:
        """Return what was learned of the account, at most 4 KiB, for the lane's next holder."""
        return self._outlooks.model()

    def learn_from(self, model: bytes) -> None:
        """Go on from what another holder had learned; from a damaged or older model nothing is taken."""
        self._outlooks.learn_from(model)

    def __len__(self) -> int:
        return len(self._candidates)

    def _choose(self, now: float) -> Candidate | None:
        longest_unseen = self._line.head()
        if longest_unseen is None:
            return None
        self._picks += 1
        if self._picks % GUARD_EVERY == 0 and now >= self._due_at(longest_unseen):
            return longest_unseen
        newcomer = self._newcomers.send(reversed(self._candidates.values()))
        return newcomer or self._outlooks.best(now + self.slot_s) or longest_unseen

    def _due_at(self, candidate: Candidate) -> float:
        """Return when the guard calls for a look at it."""
        turn_s = len(self._candidates) * self.slot_s
        return candidate.unfinished_at + max(PROMISE_S, PROMISE_TURNS * turn_s)

    def _learn(self, candidate: Candidate, judged_at: float, *, finished: bool) -> None:
        """Learn from an answer; from one held although it is final only once, as it does not end again."""
        at = max(candidate.unfinished_at, judged_at)
        if not candidate.ended:
            self._newcomers.learn(candidate, finished=finished)
            outlook = self._outlooks.of(candidate)
            outlook.learn(candidate, at, finished=finished)
            self._passed = outlook.passed
        if finished and not candidate.ended:
            candidate.ended = True
            candidate.overtaken_at = candidate.submitted_at
        candidate.unfinished_at = at
        if candidate.first_look_at is None:
            candidate.first_look_at = at

    def _put(self, candidate: Candidate) -> None:
        """Let it be picked."""
        candidate.place = next(self._places)
        entry = by_last_look(candidate)
        self._line.push(entry)
        self._outlooks.put(entry)

    def _leave(self) -> None:
        """Count a place that was left, and sweep them out before they outnumber the tasks."""
        self._left_behind += 1
        if self._left_behind > len(self._candidates) + SWEEP_AFTER:
            self._left_behind = 0
            self._line.sweep()
            self._outlooks.sweep()

    def _wake(self, now: float) -> None:
        """Let those be picked whose rest is over, and forget those who were dropped meanwhile."""
        while self._resting:
            until, candidate = self._resting[0]
            rests = self._rests_until.get(candidate.key) == until and self._candidates.get(candidate.key) is candidate
            if rests and until > now:
                return
            heappop(self._resting)
            if rests:
                del self._rests_until[candidate.key]
                self._put(candidate)


def _candidate(key: str, task: Task, weight: float, *, arrival: int, now: float) -> Candidate:
    submitted_at = min(now, task.registered_at if task.submitted_at is None else task.submitted_at)
    last_at = task.looks.last_at
    return Candidate(
        key=key,
        operation=task.name.operation,
        weight=weight,
        submitted_at=submitted_at,
        arrival=arrival,
        unfinished_at=submitted_at if last_at is None else min(now, max(submitted_at, last_at)),
        first_look_at=last_at if task.looks.first_at is None else min(now, max(submitted_at, task.looks.first_at)),
        overtaken_at=task.looks.overtaken_at,
    )

"""Laws of the line: a picker promises a task exactly when it has one, and everybody has a turn."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from relay.domain.answer import Answer, AnswerKind
from relay.domain.polling import RoundRobin
from relay.domain.task import Looks
from tests.support.builders import NOW, a_task

PENDING = Answer(AnswerKind.PENDING)
KEYS = st.sampled_from("ab")


class Line(RuleBasedStateMachine):
    """Adds, picks, answers, drops and passing time in any order, beside the plainest model of them."""

    def __init__(self) -> None:
        super().__init__()
        self.picker = RoundRobin()
        self.now = NOW
        self.since: dict[str, float] = {}
        self.rests_until: dict[str, float] = {}
        self.asked: set[str] = set()

    def free(self) -> dict[str, float]:
        """Who may be asked now, and unseen since when."""
        return {
            key: since
            for key, since in self.since.items()
            if key not in self.asked and self.rests_until.get(key, 0) <= self.now
        }

    @rule(key=KEYS, age_s=st.integers(0, 1))
    def add(self, key: str, age_s: int) -> None:
        self.picker.add(key, a_task(looks=Looks(last_at=self.now - age_s)), now=self.now)
        self.since.setdefault(key, self.now - age_s)

    @rule()
    def pick(self) -> None:
        free = self.free()
        key = self.picker.pick(now=self.now)
        assert (key is None) == (not free)
        if key is not None:
            assert free[key] == min(free.values())
            self.asked.add(key)

    @rule(key=KEYS, rest_s=st.sampled_from([0.0, 0.0, 1.0, 3.0]))
    def answered(self, key: str, rest_s: float) -> None:
        if key in self.asked:
            self.picker.answered(key, PENDING, now=self.now, rest_s=rest_s)
            self.asked.remove(key)
            self.since[key], self.rests_until[key] = self.now, self.now + rest_s

    @rule(key=KEYS)
    def drop(self, key: str) -> None:
        self.picker.drop(key)
        self.since.pop(key, None)
        self.rests_until.pop(key, None)
        self.asked.discard(key)

    @rule(for_s=st.sampled_from([0.5, 1.0, 2.0]))
    def time_passes(self, for_s: float) -> None:
        self.now += for_s

    @invariant()
    def it_is_ready_exactly_when_somebody_is_free(self) -> None:
        waiting = [self.rests_until[key] for key in self.since if key not in self.asked and key in self.rests_until]
        expected = self.now if self.free() else min(waiting, default=None)
        assert self.picker.ready_at(now=self.now) == expected
        assert len(self.picker) == len(self.since)


TestLine = Line.TestCase
TestLine.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


@settings(max_examples=100, deadline=None)
@given(count=st.integers(1, 20), in_flight=st.integers(1, 5), answered=st.lists(st.integers(0, 4), max_size=80))
def test_nobody_waits_longer_than_one_turn(count: int, in_flight: int, answered: list[int]) -> None:
    """Between the answer to one poll of a task and its next poll, each other task is polled at most once."""
    picker = RoundRobin()
    for number in range(count):
        picker.add(str(number), a_task(registered_at=NOW), now=NOW)
    under_way: list[str] = []
    picks_at_answer = dict.fromkeys(map(str, range(count)), 0)
    for picks, which in enumerate(answered):
        now = NOW + 1 + picks
        if len(under_way) == min(in_flight, count):
            key = under_way.pop(which % len(under_way))
            picker.answered(key, PENDING, now=now)
            picks_at_answer[key] = picks
        asked = picker.pick(now=now)
        assert asked is not None
        assert picks - picks_at_answer[asked] < count
        under_way.append(asked)

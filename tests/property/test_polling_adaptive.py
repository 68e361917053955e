"""Laws of the adaptive picker, in any world: nobody starves, nobody is asked twice at once, nothing is kept."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from relay.domain.adaptive import PROMISE_S, PROMISE_TURNS, SLOT_S, Adaptive
from relay.domain.answer import Answer, AnswerKind
from relay.domain.model import MODEL_LIMIT_BYTES
from relay.domain.newcomers import Newcomers
from relay.domain.operations import Operation
from relay.domain.task import Looks
from tests.support.builders import NOW, a_task

ANSWERS = {kind: Answer(kind) for kind in AnswerKind}
KEYS = st.sampled_from("abc")
KINDS = st.sampled_from([AnswerKind.PENDING, AnswerKind.PENDING, AnswerKind.FINAL, AnswerKind.TIMEOUT])
ROUND_TRIP_S = 0.08


def entries_kept(picker: Adaptive) -> int:
    """Return how much the picker holds of any task."""
    tasks = len(picker._candidates) + len(picker._asked_at) + len(picker._rests_until) + len(picker._resting)
    return tasks + len(picker._line) + len(picker._outlooks)


class Lane(RuleBasedStateMachine):
    """Adds, picks, answers, drops and passing time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.picker, self.now = Adaptive(), NOW
        self.known: set[str] = set()
        self.asked: set[str] = set()
        self.rests_until: dict[str, float] = {}

    @rule(key=KEYS, age_s=st.integers(-1, 2_000), weight=st.sampled_from([1.0, 16.0]), overtaken=st.booleans())
    def add(self, key: str, age_s: int, weight: float, *, overtaken: bool) -> None:
        looks = Looks(1, self.now - age_s / 2, overtaken_at=self.now - age_s / 4) if overtaken else Looks()
        self.picker.add(key, a_task(submitted_at=self.now - age_s, looks=looks), now=self.now, weight=weight)
        self.known.add(key)

    @rule()
    def pick(self) -> None:
        free = {key for key in self.known - self.asked if self.rests_until.get(key, 0) <= self.now}
        key = self.picker.pick(now=self.now)
        assert (key is None) == (not free)
        if key is not None:
            assert key in free
            self.asked.add(key)

    @rule(key=KEYS, kind=KINDS, rest_s=st.sampled_from([0.0, 0.0, 2.0]))
    def answered(self, key: str, kind: AnswerKind, rest_s: float) -> None:
        self.picker.answered(key, ANSWERS[kind], now=self.now, rest_s=rest_s)
        if key in self.asked:
            self.asked.remove(key)
            self.rests_until[key] = self.now + rest_s if rest_s > 0 else NOW - 1e9

    @rule(key=KEYS)
    def drop(self, key: str) -> None:
        self.picker.drop(key)
        self.known.discard(key)
        self.asked.discard(key)
        self.rests_until.pop(key, None)

    @rule(for_s=st.sampled_from([0.2, 1.0, 30.0, -0.5]))
    def time_passes(self, for_s: float) -> None:
        self.now += for_s

    @rule()
    def all_go(self) -> None:
        for key in "abc":
            self.drop(key)
        self.picker.pick(now=self.now)
        self.picker._line.sweep()
        self.picker._outlooks.sweep()
        assert entries_kept(self.picker) == 0

    @invariant()
    def it_is_ready_exactly_when_somebody_is_free(self) -> None:
        rests = [max(self.now, self.rests_until.get(key, self.now)) for key in self.known - self.asked]
        assert self.picker.ready_at(now=self.now) == min(rests, default=None)
        assert len(self.picker) == len(self.known)
        assert len(self.picker.model()) <= MODEL_LIMIT_BYTES


TestLane = Lane.TestCase
TestLane.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@dataclass
class World:
    """A lane on a virtual clock: one poll each slot, answered a round trip later by whatever the test says."""

    picker: Adaptive
    now: float = NOW
    seen_at: dict[str, float] = field(default_factory=dict)
    longest_unseen_s: float = 0.0

    def add(self, key: str) -> None:
        self.picker.add(key, a_task(registered_at=self.now), now=self.now)
        self.seen_at[key] = self.now

    def poll(self, *, finished: bool) -> str:
        key = self.picker.pick(now=self.now)
        assert key is not None
        self.longest_unseen_s = max(self.longest_unseen_s, self.now - self.seen_at[key])
        self.seen_at[key] = self.now
        kind = AnswerKind.FINAL if finished else AnswerKind.PENDING
        self.picker.answered(key, ANSWERS[kind], now=self.now + ROUND_TRIP_S)
        if finished:
            self.picker.drop(key)
            self.add(key)  # as another task
        self.now += SLOT_S
        return key


@settings(max_examples=6, deadline=None)
@given(
    count=st.integers(1, 40),
    hits=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    favourites=st.integers(0, 40),
)
def test_nobody_starves_in_any_world(count: int, hits: list[int], favourites: int) -> None:
    """Some tasks end at every look, so that both views expect everything of them and nothing of the others."""
    world = World(Adaptive())
    for number in range(count):
        world.add(str(number))
    key = "0"
    for poll in range(6_000):
        key = world.poll(finished=int(key) < favourites and hits[poll % len(hits)] == 0)
    turn_s = count * SLOT_S
    longest_s = max(world.longest_unseen_s, *(world.now - at for at in world.seen_at.values()))
    assert longest_s <= max(PROMISE_S, PROMISE_TURNS * turn_s) + 4 * turn_s + SLOT_S


def without_scouts(world: World) -> World:
    """Send no scouts: the next holder begins with scouts of its own."""
    world.picker._outlooks._by_operation[Operation.LEAD_UPDATE]._order._scouts._next_pick = 1_000_000
    return world


def copied(world: World) -> World:
    """Return the world as the lane's next holder finds it: from the model and what is written of each task."""
    copy = without_scouts(World(Adaptive(), world.now))
    copy.picker.learn_from(world.picker.model())
    for picker in (world.picker, copy.picker):  # whose pick it is may differ, no more
        picker._picks = picker._outlooks._by_operation[Operation.LEAD_UPDATE]._picks = 0
        picker._newcomers = Newcomers()
    for key, candidate in world.picker._candidates.items():
        last_at = candidate.unfinished_at if candidate.looked_at else None
        first_at, overtaken_at = world.picker.learned_of(key)
        looks = Looks(int(candidate.looked_at), last_at, overtaken_at=overtaken_at, first_at=first_at)
        copy.picker.add(key, a_task(registered_at=candidate.submitted_at, looks=looks), now=world.now)
        copy.seen_at[key] = candidate.unfinished_at
    return copy


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 30), finished=st.lists(st.booleans(), max_size=120))
def test_what_is_written_is_all_that_the_next_holder_needs(count: int, finished: list[bool]) -> None:
    world = without_scouts(World(Adaptive()))
    for number in range(count):
        world.add(str(number))
        world.now += 0.01
    for each in finished:
        world.poll(finished=each)
    copy = copied(world)
    assert copy.picker.model() == world.picker.model()
    for _ in range(count):
        assert copy.picker.pick(now=world.now) == world.picker.pick(now=world.now)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_for_a_model_break_it(model: bytes) -> None:
    picker = Adaptive()
    picker.learn_from(model)
    picker.add("a", a_task(), now=NOW)
    assert picker.pick(now=NOW) == "a"

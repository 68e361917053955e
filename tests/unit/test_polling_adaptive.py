"""What the adaptive picker makes of answers: whose turn it is when something tells the tasks apart."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from relay.domain.adaptive import Adaptive
from relay.domain.answer import Answer, AnswerKind
from relay.domain.budget import Limit
from relay.domain.candidate import NOWHERE, Candidate, Line, by_submission
from relay.domain.model import MODEL_LIMIT_BYTES
from relay.domain.operations import Operation
from relay.domain.task import Looks
from relay.simulate.arrivals import Steady
from relay.simulate.durations import Durations
from relay.simulate.run import simulate
from relay.simulate.summary import summarize
from relay.simulate.work import Work
from relay.simulate.world import Load, World
from tests.support.builders import NAME, NOW, a_task

PENDING, FINAL = Answer(AnswerKind.PENDING), Answer(AnswerKind.FINAL)
SLOT_S = 0.2
LIMIT = Limit(25, 5.0)
NO_ANSWERS = sorted(set(AnswerKind) - {AnswerKind.PENDING, AnswerKind.FINAL})


def picker_of(count: int) -> Adaptive:
    """Return a picker of tasks 0, 1, ... submitted at once."""
    picker = Adaptive()
    for number in range(count):
        picker.add(str(number), a_task(registered_at=NOW), now=NOW)
    return picker


def polled(picker: Adaptive, *, finished: set[str], at: float, polls: int) -> list[str]:
    """Poll so often, one each slot; return whom. Those finished are dropped when they are seen."""
    asked = []
    for number in range(polls):
        now = at + number * SLOT_S
        key = picker.pick(now=now)
        assert key is not None
        picker.answered(key, FINAL if key in finished else PENDING, now=now + 0.08)
        if key in finished:
            picker.drop(key)
        asked.append(key)
    return asked


def test_the_oldest_is_asked_first() -> None:
    assert polled(picker_of(5), finished=set("01234"), at=NOW + 60, polls=5) == list("01234")


def test_a_queue_is_followed_task_by_task() -> None:
    finished = list(map(str, range(30)))
    asked = polled(picker_of(1_000), finished=set(finished), at=NOW + 60, polls=32)
    in_turn = [key for key in asked if key in finished]
    assert in_turn == finished[: len(in_turn)]
    assert len(asked) - len(in_turn) <= 3  # the others are looks at a scout


def test_a_scout_that_ends_before_its_turn_refutes_the_order() -> None:
    """Each task is begun when it is first asked about, and takes ten seconds: at the front it looks like a queue."""
    picker, begun_at, found_at = picker_of(100), dict[str, float](), dict[str, float]()
    for slot in range(600):
        now = NOW + slot * SLOT_S
        key = picker.pick(now=now)
        if key is None:
            break
        finished = begun_at.setdefault(key, now) + 10 <= now
        picker.answered(key, FINAL if finished else PENDING, now=now + 0.08)
        if finished:
            found_at[key] = now
            picker.drop(key)
    assert len(found_at) == 100  # in two minutes; one after the other they would take a quarter of an hour


def test_an_unfinished_front_stops_the_search() -> None:
    picker = picker_of(1_000)
    polled(picker, finished=set(map(str, range(30))), at=NOW + 60, polls=30)
    asked = polled(picker, finished=set(), at=NOW + 70, polls=20)
    assert sum(int(key) >= 45 for key in asked) <= 2  # looks at a scout


def test_one_finished_task_tells_of_the_earlier_ones() -> None:
    picker = picker_of(3)
    assert picker.pick(now=NOW + 60) == "0"
    assert picker.pick(now=NOW + 60.2) == "1"
    picker.answered("1", FINAL, now=NOW + 60.3)
    picker.drop("1")
    assert picker.learned_of("0")[1] == pytest.approx(NOW + 60.25)
    assert picker.learned_of("2")[1] is None


def test_a_finished_task_far_ahead_tells_nothing_of_the_earlier_ones() -> None:
    picker = picker_of(300)
    for _ in range(300):
        picker.pick(now=NOW + 60)
    for key in range(299):
        picker.answered(str(key), PENDING, now=NOW + 60.1)
    picker.answered("299", FINAL, now=NOW + 60.1)
    assert {picker.learned_of(str(key))[1] for key in range(299)} == {None}


def test_whom_it_counts_as_ahead_are_those_that_nobody_has_overtaken() -> None:
    """Also once scouts were passed, and tasks end in no order at all."""
    picker = picker_of(400)
    left = set(map(str, range(400)))
    for part in range(20):
        finished = {key for key in left if int(key) % 20 <= part and int(key) % 3}
        left -= {
            key for key in polled(picker, finished=finished, at=NOW + 10 * (1 + part), polls=50) if key in finished
        }
        assert picker.ahead()[NAME.operation] == sum(picker.learned_of(key)[1] is None for key in left)


def test_a_takeover_goes_on_where_the_last_holder_stopped() -> None:
    """The one passed over is asked before those ahead of it, far as it is from the front."""
    picker = Adaptive()
    for number in range(20):
        waiting = a_task(registered_at=NOW + number, looks=Looks(polls=1, last_at=NOW + 59))
        picker.add(str(number), waiting, now=NOW + 60)
    looks = Looks(polls=1, last_at=NOW + 40, overtaken_at=NOW + 50)
    picker.add("overtaken", a_task(registered_at=NOW + 30, looks=looks), now=NOW + 60)
    assert picker.learned_of("overtaken")[1] == NOW + 50
    assert picker.pick(now=NOW + 60) == "overtaken"


def test_the_order_is_that_of_submission_whatever_the_order_of_arrival() -> None:
    picker = Adaptive()
    for number in (3, 1, 4, 0, 2):
        picker.add(str(number), a_task(registered_at=NOW, submitted_at=NOW - 10 + number), now=NOW)
    assert polled(picker, finished=set("01234"), at=NOW + 60, polls=5) == list("01234")


@pytest.mark.parametrize("kind", NO_ANSWERS)
def test_what_tells_nothing_of_the_task_counts_as_not_asked(kind: AnswerKind) -> None:
    picker, untouched = picker_of(20), picker_of(20)
    key = picker.pick(now=NOW + 1)
    assert key is not None
    picker.answered(key, Answer(kind), now=NOW + 1.1)
    assert picker.model() == untouched.model()
    assert picker.pick(now=NOW + 2) == key


def test_the_weight_of_one_that_is_known_can_change() -> None:
    picker = picker_of(20)
    polled(picker, finished=set(), at=NOW + 1, polls=20)
    picker.add("7", a_task(registered_at=NOW), now=NOW + 30, weight=64)
    assert picker.pick(now=NOW + 30) == "7"
    assert len(picker) == 20


def test_one_overdue_is_asked_by_the_fourth_poll() -> None:
    picker = picker_of(100)
    picker.add("stuck", a_task(registered_at=NOW - 3_000, looks=Looks(polls=9, last_at=NOW - 950)), now=NOW)
    assert "stuck" in polled(picker, finished=set(), at=NOW, polls=4)


def test_one_that_rests_is_passed_over_until_its_rest_is_over() -> None:
    picker = picker_of(1)
    picker.pick(now=NOW)
    picker.answered("0", PENDING, now=NOW, rest_s=10)
    assert (picker.pick(now=NOW + 9), picker.ready_at(now=NOW + 9)) == (None, NOW + 10)
    assert picker.pick(now=NOW + 10) == "0"


def test_a_final_answer_that_is_held_teaches_once() -> None:
    picker = picker_of(2)
    picker.pick(now=NOW + 60)
    picker.answered("0", FINAL, now=NOW + 60)
    learned = picker.model()
    while picker.pick(now=NOW + 61) != "0":
        pass
    picker.answered("0", FINAL, now=NOW + 61)
    assert picker.model() == learned


@pytest.mark.parametrize(
    "model", [b"", b"{", b"[]", b'{"trust":{"score":"much"}}', b'{"trust":{"score":1e99,"in_order":true}}']
)
def test_a_damaged_model_is_no_model(model: bytes) -> None:
    picker = picker_of(1)
    picker.learn_from(model)
    assert picker.model() == picker_of(1).model()


def test_an_estimate_is_later_for_more_certainty_and_for_those_further_back() -> None:
    picker = picker_of(1_000)
    polled(picker, finished=set(map(str, range(30))), at=NOW + 60, polls=30)
    estimates = [
        picker.finished_by(key, now=NOW + 66, chance=chance) for key in ("400", "900") for chance in (0.5, 0.9)
    ]
    near, near_surely, far, far_surely = [estimate or 0.0 for estimate in estimates]
    assert NOW + 66 < near < near_surely < far < far_surely
    assert picker.finished_by("unknown", now=NOW, chance=0.5) is None


def two_kinds(slow: Operation) -> World:
    """Draw quick tasks of one operation and slow ones of another, or of the same."""
    quick = Load(Steady(2.1), Work(Durations("lognormal", (2.0, 0.4))), 400.0).world(1)
    rest = Load(Steady(0.9), Work(Durations("lognormal", (60.0, 0.4))), 400.0).world(2)
    return World(tuple(sorted((*quick.lives, *(life._replace(operation=slow) for life in rest.lives)))))


def test_each_operation_is_learned_by_itself() -> None:
    apart, alike = (
        summarize([simulate(two_kinds(slow), Adaptive(), LIMIT)], LIMIT).mean_s
        for slow in (Operation.CALL_LOG, Operation.LEAD_UPDATE)
    )
    assert apart < 0.8 * alike


def taught(operations: Iterable[Operation]) -> Adaptive:
    """Return a picker that has seen sixty tasks of each operation end."""
    picker = Adaptive()
    for number, operation in enumerate(operation for operation in operations for _ in range(60)):
        name = replace(NAME, operation=operation, request_id=str(number))
        picker.add(str(number), a_task(name=name, registered_at=NOW + number - 7.7), now=NOW + number)
        assert picker.pick(now=NOW + number) == str(number)
        picker.answered(str(number), FINAL, now=NOW + number)
        picker.drop(str(number))
    return picker


def test_what_was_learned_of_all_operations_fits_and_is_taken_over() -> None:
    picker, successor = taught(Operation), Adaptive()
    model = picker.model()
    assert len(model) <= MODEL_LIMIT_BYTES
    successor.learn_from(model)
    for operation in Operation:
        new = a_task(name=replace(NAME, operation=operation), registered_at=NOW + 1_000)
        estimates = []
        for each in (picker, successor):
            each.add("new", new, now=NOW + 1_000)
            estimates.append(each.finished_by("new", now=NOW + 1_000, chance=0.5))
            each.drop("new")
        assert estimates[0] == estimates[1]


def test_whoever_counts_throws_out_what_was_left_behind() -> None:
    line, last = Line(), None
    for number in range(100):
        last = Candidate(str(number), Operation.LEAD_UPDATE, 1.0, number, number, number, place=1)
        line.push(by_submission(last))
        last.place = 1 if number % 10 == 0 else NOWHERE
    assert last is not None
    assert line.count_before(last, limit=3) == 3
    assert line.count_before(last, limit=100) == 10
    assert len(line) == 10

"""Whose turn it is: the longest unseen first, and nobody while resting, being asked or forgotten."""

from relay.domain.answer import Answer, AnswerKind
from relay.domain.polling import RoundRobin
from relay.domain.task import Looks
from tests.support.builders import NOW, a_task

PENDING = Answer(AnswerKind.PENDING)


def picker_of(**last_at: float | None) -> RoundRobin:
    picker = RoundRobin()
    for key, at in last_at.items():
        picker.add(key, a_task(looks=Looks(last_at=at)), now=NOW)
    return picker


def test_the_longest_unseen_is_asked_first() -> None:
    picker = picker_of(b=NOW - 5, a=NOW - 9, c=NOW - 1)
    assert [picker.pick(now=NOW) for _ in range(4)] == ["a", "b", "c", None]


def test_one_never_seen_counts_from_its_registration() -> None:
    picker = picker_of(seen=NOW + 1, never=None, long_unseen=NOW - 1)
    assert [picker.pick(now=NOW) for _ in range(3)] == ["long_unseen", "never", "seen"]


def test_one_that_is_being_asked_is_not_asked_again_until_it_was_answered() -> None:
    picker = picker_of(a=NOW)
    assert picker.pick(now=NOW) == "a"
    assert (picker.pick(now=NOW), picker.ready_at(now=NOW)) == (None, None)
    picker.answered("a", PENDING, now=NOW + 1)
    assert picker.pick(now=NOW + 1) == "a"


def test_one_that_is_known_keeps_its_place() -> None:
    picker = picker_of(a=NOW, b=NOW + 1)
    picker.add("b", a_task(looks=Looks(last_at=NOW - 1)), now=NOW)
    assert [picker.pick(now=NOW), picker.pick(now=NOW), len(picker)] == ["a", "b", 2]


def test_one_that_rests_is_passed_over_until_its_rest_is_over() -> None:
    picker = picker_of(a=NOW - 9, b=NOW)
    picker.pick(now=NOW)
    picker.answered("a", PENDING, now=NOW, rest_s=10)
    assert picker.pick(now=NOW + 9) == "b"
    assert picker.ready_at(now=NOW + 9) == NOW + 10
    assert picker.pick(now=NOW + 10) == "a"


def test_one_that_was_dropped_is_forgotten_wherever_it_stood() -> None:
    picker = picker_of(asked=NOW - 9, resting=NOW - 8, in_line=NOW)
    picker.pick(now=NOW)
    picker.answered(str(picker.pick(now=NOW)), PENDING, now=NOW, rest_s=1)
    for key in ("asked", "resting", "in_line", "unknown"):
        picker.drop(key)
    picker.answered("asked", PENDING, now=NOW + 2)
    assert (picker.pick(now=NOW + 2), picker.ready_at(now=NOW + 2), len(picker)) == (None, None, 0)


def test_one_that_was_dropped_and_added_again_is_asked_once() -> None:
    picker = picker_of(a=NOW)
    picker.drop("a")
    picker.add("a", a_task(looks=Looks(last_at=NOW)), now=NOW)
    assert [picker.pick(now=NOW), picker.pick(now=NOW)] == ["a", None]


def test_one_that_was_dropped_while_resting_and_added_again_is_asked_once() -> None:
    picker = picker_of(a=NOW)
    picker.pick(now=NOW)
    picker.answered("a", PENDING, now=NOW, rest_s=1)
    picker.drop("a")
    picker.add("a", a_task(), now=NOW)
    assert [picker.pick(now=NOW), picker.pick(now=NOW + 1)] == ["a", None]

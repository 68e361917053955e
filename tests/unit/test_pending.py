"""What the holder of a lane keeps of its pending tasks."""

from dataclasses import replace

from relay.domain.answer import Answer, AnswerKind
from relay.domain.task import Looks, Task, TaskState
from relay.lanes.pending import Pending
from relay.store.keys import member
from tests.support.builders import NAME, NOW, a_task

PENDING, FINAL = Answer(AnswerKind.PENDING), Answer(AnswerKind.FINAL)


def task_of(request_id: str, **changes: object) -> Task:
    return a_task(name=replace(NAME, request_id=request_id), **changes)


def holding(*tasks: Task) -> Pending:
    pending = Pending()
    for task in tasks:
        pending.take(task, now=NOW)
    return pending


def key_of(task: Task) -> str:
    return member(task.name)


def test_a_new_task_gets_an_estimate_to_be_written() -> None:
    task = task_of("a")
    looks = holding(task).unwritten()[0][key_of(task)]
    assert looks.eta_at is not None
    assert looks.eta_at >= NOW
    assert looks.next_at is None


def test_one_with_an_estimate_is_not_written_again_when_it_is_loaded() -> None:
    assert holding(task_of("a", looks=Looks(1, NOW, eta_at=NOW + 9))).unwritten() == ({}, {}, {})


def test_those_overtaken_are_written_with_the_answer_that_overtook_them() -> None:
    tasks = [task_of(name, registered_at=NOW - 10 + number) for number, name in enumerate("abc")]
    pending = holding(*tasks)
    pending.unwritten()
    asked = {pending.picker.pick(now=NOW + number / 5) for number in range(3)}
    assert asked == {key_of(task) for task in tasks}
    pending.picker.answered(key_of(tasks[2]), FINAL, now=NOW + 1)
    pending.passed(now=NOW + 1)
    looks, *_ = pending.unwritten()
    assert {key for key, look in looks.items() if look.overtaken_at is not None} == {key_of(tasks[0]), key_of(tasks[1])}


def test_a_task_is_late_at_its_deadline_and_is_weighed_again_on_the_way() -> None:
    pending = holding(task_of("a", deadline_at=NOW + 100))
    moments = []
    while (moment := pending.next_moment()) < NOW + 100:
        moments.append(moment - NOW)
        assert pending.late(now=moment, at_most=9) == []
    assert moments == [50, 80]
    assert pending.late(now=NOW + 100, at_most=9) == [key_of(task_of("a"))]


def test_many_late_at_once_are_handed_out_some_at_a_time() -> None:
    pending = holding(*(task_of(f"task-{number}", deadline_at=NOW + 1) for number in range(5)))
    handed = [pending.late(now=NOW + 2, at_most=2) for _ in range(4)]
    assert [len(keys) for keys in handed] == [2, 2, 1, 0]
    assert len({key for keys in handed for key in keys}) == 5


def test_a_burst_of_another_client_gives_the_small_ones_task_more_weight() -> None:
    pending = holding(task_of("small", client="small"))
    for number in range(200):
        pending.take(task_of(f"big-{number}", client="big"), now=NOW)
    small = pending.picker._candidates[key_of(task_of("small"))]
    assert small.weight == 1
    pending.weigh_anew(now=NOW)
    assert small.weight == 64


def test_one_no_longer_pending_is_dropped() -> None:
    task = task_of("a")
    pending = holding(task)
    pending.take(replace(task, state=TaskState.ABANDONED), now=NOW)
    assert (len(pending), len(pending.picker), pending.unwritten()) == (0, 0, ({}, {}, {}))

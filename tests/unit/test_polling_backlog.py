"""One client's backlog whose tasks have all ended: who of them is looked at when."""

from relay.domain.adaptive import Adaptive
from relay.domain.answer import Answer, AnswerKind
from relay.domain.newcomers import FIRST
from relay.domain.operations import Operation
from relay.domain.task import Task, TaskName

BACKLOG, MEANWHILE, SLOT_S = 1_000, 100, 0.2
FINISHED = Answer(AnswerKind.FINAL)


def task(name: str, at: float) -> Task:
    return Task(TaskName("default", Operation.LEAD_UPDATE, name), at, at + 43_200, (name,))


def drained() -> list[str]:
    """Drain a backlog in which one more task, finished like the others, is registered meanwhile; return the order."""
    picker, order, now = Adaptive(slot_s=SLOT_S), list[str](), 10_000.0
    for number in range(BACKLOG):
        picker.add(f"old-{number}", task(f"old-{number}", now - 3_600 + number / 10), now=now)
    while (key := picker.pick(now=now)) is not None:
        order.append(key)
        picker.answered(key, FINISHED, now=now)
        picker.drop(key)
        if len(order) == MEANWHILE:
            picker.add("new", task("new", now), now=now)
        now += SLOT_S
    return order


def test_each_is_looked_at_once_and_most_of_the_oldest_first() -> None:
    order = drained()
    assert len(order) == len(set(order)) == BACKLOG + 1
    oldest = {f"old-{number}" for number in range(MEANWHILE)}
    assert len(oldest & set(order[:MEANWHILE])) > 0.9 * MEANWHILE


def test_what_is_new_does_not_wait_for_the_drain() -> None:
    assert drained().index("new") < MEANWHILE + 2 * FIRST

"""Draws what becomes of each task, by the behaviour in force when the task is made."""

from dataclasses import replace
from math import inf
from random import Random

from relay.sandbox.behaviour import Behaviour, TaskPlan
from relay.sandbox.plan import Life, Order, WorkQueue, dice, draw_outcome, life_of


class Lives:
    """The lives of all tasks of one behaviour; an independent task's life hangs on the seed and its RequestID alone."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._queue = (
            WorkQueue(workers=behaviour.workers, rate_per_s=behaviour.rate_per_s)
            if behaviour.order is Order.FIFO
            else None
        )

    def under(self, behaviour: Behaviour) -> "Lives":
        """Return the lives under a new behaviour; the queue's backlog stays unless the queue itself is changed."""
        lives = Lives(behaviour)
        if _queueing(behaviour) == _queueing(self._behaviour):
            lives._queue = self._queue
        return lives

    def begin(self, request_id: str, plan: TaskPlan, now: float) -> Life:
        """Return the life of a task made at `now`; a planned finish passes the queue by."""
        random = dice(self._behaviour.seed, f"task/{request_id}")
        outcome = draw_outcome(self._behaviour.mix, random)
        drawn = plan.finish_in_s is None
        retry_scale = self._behaviour.retry_scale if drawn else 0
        done_at = self._done_at(plan, random, now)
        life = life_of(outcome, done_at, retries=self._behaviour.retries, retry_scale=retry_scale)
        if plan.status is not None:
            life = replace(life, final_status=plan.status)
        if plan.error_in_s is not None:
            life = replace(life, error_at=now + plan.error_in_s)
        return life

    def _done_at(self, plan: TaskPlan, random: Random, now: float) -> float:
        if plan.finish_in_s is not None:
            return now + plan.finish_in_s
        if plan.stuck or random.random() < self._behaviour.stuck:
            return inf
        work_s = self._behaviour.durations.draw_s(random)
        return self._queue.finish_at(now, work_s) if self._queue else now + work_s


def _queueing(behaviour: Behaviour) -> tuple[Order, int, float | None]:
    return behaviour.order, behaviour.workers, behaviour.rate_per_s

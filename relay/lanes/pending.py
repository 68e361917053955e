"""Pending: the pending tasks of one account, in the memory of the lane's holder."""

from dataclasses import replace
from heapq import heappop, heappush
from itertools import islice
from math import inf

from relay.domain.account import LearnedLimit
from relay.domain.adaptive import SLOT_S, Adaptive
from relay.domain.answer import Answer
from relay.domain.shares import Shares
from relay.domain.task import Looks, Task, TaskState
from relay.domain.weight import next_change_at, weight
from relay.store.keys import member

MAX_LOOKS = 1_000  # a script takes some thousands of arguments, not more
MAX_WEIGHED = 1_000  # a turn, so that nothing else waits long
EVEN_ODDS = 0.5
ASIDE_S = 600.0  # until what could not be read is read again: somebody may have mended it
FORESEEN_S = 30 * 86_400.0  # an estimate further ahead than this is none


class Pending:
    """Tasks by key (their name within the account), who is next, whose deadline is next, what is not yet written."""

    def __init__(self, *, slot_s: float = SLOT_S) -> None:
        self.tasks: dict[str, Task] = {}
        self.picker = Adaptive(slot_s=slot_s)
        self.change = 0
        self.learned_limit: LearnedLimit | None = None
        self._shares = Shares()
        self._moments: list[tuple[float, str]] = []  # when a deadline is near, nearer, or there
        self._aside: dict[str, float] = {}  # what cannot be read, and when to read it again
        self._seen_statuses: dict[str, int] = {}
        self._unwritten_looks: dict[str, Looks] = {}
        self._unwritten_statuses: dict[str, bytes] = {}
        self._unwritten_polls: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.tasks)

    def take(self, task: Task, *, now: float) -> None:
        """Take in a task as the store has it: new, joined, or no longer pending."""
        key = member(task.name)
        self._aside.pop(key, None)
        if task.state is not TaskState.PENDING:
            self.drop(key)
            return
        before = self.tasks.get(key)
        self.tasks[key] = task
        self._shares.add(key, task.client)
        self._weigh(key, now)
        if before is None or before.deadline_at != task.deadline_at:
            self._await_moment(key, now)
        if task.looks.eta_at is None:
            self._write_looks(key, now)

    def set_aside(self, key: str, *, now: float) -> None:
        """Ask no more about a task whose record cannot be read."""
        self.drop(key)
        self._aside[key] = now + ASIDE_S

    @property
    def has_aside(self) -> bool:
        """Whether some could not be read."""
        return bool(self._aside)

    def aside(self, *, now: float) -> list[str]:
        """Return what was set aside and is to be read again; it is taken for read."""
        again = [key for key, at in self._aside.items() if at <= now]
        for key in again:
            del self._aside[key]
        return again

    def drop(self, key: str) -> None:
        """Forget a task."""
        task = self.tasks.pop(key, None)
        self.forget_unwritten(key)
        if task is not None:
            self._shares.drop(key, task.client)
        self.picker.drop(key)

    def polled(self, key: str, polls: str) -> None:
        """Keep the last of the task's trail; it is written with the next turn that says more of the task."""
        if key in self.tasks:
            self._unwritten_polls[key] = self._unwritten_polls.get(key, "") + polls

    def looked(self, key: str, task: Task, answer: Answer, *, now: float) -> None:
        """Keep what a poll has shown, after the picker has heard of it; it is written with the next turn."""
        current = self.tasks.get(key)
        if current is None:
            return
        self.tasks[key] = task if task.version >= current.version else replace(current, looks=task.looks)
        self._weigh(key, now)
        self._write_looks(key, now)
        if answer.task_status is not None and self._seen_statuses.get(key) != hash(answer.task_status):
            self._seen_statuses[key] = hash(answer.task_status)
            self._unwritten_statuses[key] = answer.task_status

    def passed(self, *, now: float) -> None:
        """Keep which tasks the last answer has overtaken: the lane's next holder could not tell."""
        for key in self.picker.passed():
            if key in self.tasks:
                self._write_looks(key, now)

    def weigh_anew(self, *, now: float) -> None:
        """Weigh those again whose client's part of the pending tasks has changed, some of them at a time."""
        for key in self._shares.stale(at_most=MAX_WEIGHED):
            self._weigh(key, now)

    def unwritten(self) -> tuple[dict[str, Looks], dict[str, bytes], dict[str, str]]:
        """Return up to a thousand looks, the statuses, and the trails of those looks; they are taken for written."""
        looks = dict(islice(self._unwritten_looks.items(), MAX_LOOKS))
        statuses = dict(islice(self._unwritten_statuses.items(), MAX_LOOKS))
        for key in looks:
            del self._unwritten_looks[key]
        for key in statuses:
            del self._unwritten_statuses[key]
        return looks, statuses, {key: self._unwritten_polls.pop(key) for key in looks if key in self._unwritten_polls}

    def not_written(self, looks: dict[str, Looks], statuses: dict[str, bytes], polls: dict[str, str]) -> None:
        """Take back what could not be written."""
        for key, told in polls.items():
            if key in self.tasks:
                self._unwritten_polls[key] = told + self._unwritten_polls.get(key, "")
        self._unwritten_looks = {key: look for key, look in looks.items() if key in self.tasks} | self._unwritten_looks
        self._unwritten_statuses = {
            key: status for key, status in statuses.items() if key in self.tasks
        } | self._unwritten_statuses

    def forget_unwritten(self, key: str) -> str:
        """Write nothing of this task with the next turn: a commit is about to say more, and must have the last word.

        Returns the last of its trail, for that commit.
        """
        for known in (self._seen_statuses, self._unwritten_looks, self._unwritten_statuses):
            known.pop(key, None)
        return self._unwritten_polls.pop(key, "")

    def fresh_status(self, key: str) -> bytes | None:
        """Return a TaskStatus that the store does not have yet."""
        return self._unwritten_statuses.get(key)

    def late(self, *, now: float, at_most: int) -> list[str]:
        """Return tasks whose earliest deadline has passed; those that came nearer to theirs weigh more now."""
        found: list[str] = []
        while self._moments and self._moments[0][0] <= now and len(found) < at_most:
            _, key = heappop(self._moments)
            task = self.tasks.get(key)
            if task is None:
                continue
            if task.deadline_at <= now:
                found.append(key)
            else:
                self._weigh(key, now)
                self._await_moment(key, now)
        return list(dict.fromkeys(found))

    def remind(self, key: str, *, at: float) -> None:
        """Find this late task late again at `at` (Unix seconds): nothing could be done about it now."""
        heappush(self._moments, (at, key))

    def next_moment(self) -> float:
        """Return when `late` has something to do next (Unix seconds), or infinity."""
        return self._moments[0][0] if self._moments else inf

    def _weigh(self, key: str, now: float) -> None:
        task = self.tasks[key]
        part = self._shares.told(key, task.client)
        self.picker.add(key, task, now=now, weight=weight(task, client_share=part, now=now))

    def _await_moment(self, key: str, now: float) -> None:
        task = self.tasks[key]
        heappush(self._moments, (next_change_at(task, now=now) or task.deadline_at, key))

    def _write_looks(self, key: str, now: float) -> None:
        task = self.tasks[key]
        picker = self.picker
        first_at, overtaken_at = picker.learned_of(key)
        looks = replace(
            task.looks,
            first_at=first_at,
            overtaken_at=overtaken_at,
            eta_at=_foreseen(picker.finished_by(key, now=now, chance=EVEN_ODDS), now),
            next_at=self._next_at(key, task, now),
        )
        self.tasks[key] = replace(task, looks=looks)
        self._unwritten_looks[key] = looks

    def _next_at(self, key: str, task: Task, now: float) -> float | None:
        """Return when it will be looked at again, which takes some time to work out: not for one just loaded."""
        return None if task.looks.last_at is None else _foreseen(self.picker.next_look_at(key, now=now), now)


def _foreseen(at: float | None, now: float) -> float | None:
    return None if at is None or at > now + FORESEEN_S else round(at, 1)

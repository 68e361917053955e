"""Pending: the pending tasks of one account, in the memory of the lane's holder."""

from dataclasses import replace
from heapq import heappop, heappush
from itertools import islice
from math import inf

from relay.domain.answer import Answer
from relay.domain.budget import Limit
from relay.domain.polling import Picker, RoundRobin
from relay.domain.task import Looks, Task, TaskState
from relay.store.keys import member

MAX_LOOKS = 1_000  # a script takes some thousands of arguments, not more


class Pending:
    """Tasks by key (their name within the account), who is next, whose deadline is next, what is not yet written."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.picker: Picker = RoundRobin()
        self.change = 0
        self.learned_limit: Limit | None = None
        self._deadlines: list[tuple[float, str]] = []
        self._seen_statuses: dict[str, int] = {}
        self._unwritten_looks: dict[str, Looks] = {}
        self._unwritten_statuses: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self.tasks)

    def take(self, task: Task, *, now: float) -> None:
        """Take in a task as the store has it: new, joined, or no longer pending."""
        key = member(task.name)
        if task.state is not TaskState.PENDING:
            self.drop(key)
            return
        if key not in self.tasks:
            self.picker.add(key, task, now=now)
        self.tasks[key] = task
        heappush(self._deadlines, (task.deadline_at, key))

    def drop(self, key: str) -> None:
        """Forget a task."""
        for known in (self.tasks, self._seen_statuses, self._unwritten_looks, self._unwritten_statuses):
            known.pop(key, None)
        self.picker.drop(key)

    def looked(self, key: str, task: Task, answer: Answer) -> None:
        """Keep what a poll has shown; it is written with the next turn."""
        current = self.tasks.get(key)
        if current is None:
            return
        self.tasks[key] = task if task.version >= current.version else replace(current, looks=task.looks)
        self._unwritten_looks[key] = task.looks
        if answer.task_status is not None and self._seen_statuses.get(key) != hash(answer.task_status):
            self._seen_statuses[key] = hash(answer.task_status)
            self._unwritten_statuses[key] = answer.task_status

    def unwritten(self) -> tuple[dict[str, Looks], dict[str, bytes]]:
        """Return up to a thousand looks, and the statuses, to write; they are taken for written."""
        looks = dict(islice(self._unwritten_looks.items(), MAX_LOOKS))
        statuses = dict(islice(self._unwritten_statuses.items(), MAX_LOOKS))
        for key in looks:
            del self._unwritten_looks[key]
        for key in statuses:
            del self._unwritten_statuses[key]
        return looks, statuses

    def not_written(self, looks: dict[str, Looks], statuses: dict[str, bytes]) -> None:
        """Take back what could not be written."""
        self._unwritten_looks = {key: look for key, look in looks.items() if key in self.tasks} | self._unwritten_looks
        self._unwritten_statuses = {
            key: status for key, status in statuses.items() if key in self.tasks
        } | self._unwritten_statuses

    def forget_unwritten(self, key: str) -> None:
        """Write nothing of this task with the next turn: a commit is about to say more, and must have the last word."""
        for known in (self._seen_statuses, self._unwritten_looks, self._unwritten_statuses):
            known.pop(key, None)

    def fresh_status(self, key: str) -> bytes | None:
        """Return a TaskStatus that the store does not have yet."""
        return self._unwritten_statuses.get(key)

    def late(self, *, now: float) -> list[str]:
        """Return the tasks whose earliest deadline has passed."""
        found: list[str] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline_at, key = heappop(self._deadlines)
            task = self.tasks.get(key)
            if task is not None and task.deadline_at <= deadline_at:
                found.append(key)
        return found

    def remind(self, key: str, *, at: float) -> None:
        """Find this late task late again at `at` (Unix seconds): nothing could be done about it now."""
        heappush(self._deadlines, (at, key))

    def next_deadline(self) -> float:
        """Return the earliest deadline (Unix seconds), or infinity."""
        return self._deadlines[0][0] if self._deadlines else inf

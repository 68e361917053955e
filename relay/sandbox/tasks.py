"""All tasks the sandbox knows, and when their ends were first read. Instants are monotonic seconds."""

from collections import Counter, deque
from dataclasses import dataclass

from relay.sandbox.faults import ArmedFault
from relay.sandbox.lags import DetectionLags
from relay.sandbox.operations import Operation
from relay.sandbox.plan import Life

REMEMBER_READ_S = 3600.0
REMEMBER_TASKS = 1_000_000
ADOPTED_REQUEST_BODY = '[{"Attribute":"mx_City","Value":"Bangalore"}]'


@dataclass(slots=True)
class Task:
    """One task; a planned one has no account and no operation until it is first asked for."""

    request_id: str
    submitted_at: float
    life: Life
    account: str | None = None
    operation: Operation | None = None
    request_body: str = ADOPTED_REQUEST_BODY
    reason: str | None = None
    fault: ArmedFault | None = None
    first_read_final_at: float | None = None


class Tasks:
    """Tasks by RequestID. Those read as final go after an hour, or sooner when there are too many; others stay."""

    def __init__(self) -> None:
        self.forgotten = 0
        self.lags = DetectionLags()
        self._by_id: dict[str, Task] = {}
        self._read: deque[Task] = deque()

    def find(self, request_id: str) -> Task | None:
        return self._by_id.get(request_id)

    def put(self, task: Task) -> Task:
        self._by_id[task.request_id] = task
        return task

    def note_read(self, task: Task, now: float) -> None:
        """Note that a caller learns the task's status at `now`."""
        if task.first_read_final_at is None and now >= task.life.final_at:
            task.first_read_final_at = now
            self.lags.record(now - task.life.final_at)
            self._read.append(task)
            self._forget_old(now)

    def _forget_old(self, now: float) -> None:
        while self._read and (self._read_longest_ago_s(now) > REMEMBER_READ_S or len(self._by_id) > REMEMBER_TASKS):
            task = self._read.popleft()
            if self._by_id.get(task.request_id) is task:
                del self._by_id[task.request_id]
                self.forgotten += 1

    def _read_longest_ago_s(self, now: float) -> float:
        return now - (self._read[0].first_read_final_at or now)

    def count_by_status(self, now: float) -> Counter[str]:
        return Counter(str(task.life.status_at(now)) for task in self._by_id.values())

    def final_unread(self, now: float) -> int:
        """Return how many tasks are final and nobody has learnt it yet."""
        return sum(task.first_read_final_at is None and now >= task.life.final_at for task in self._by_id.values())

    def backlog(self, account: str, operation: Operation, now: float) -> tuple[int, float, float]:
        """Return the vendor's metrics: tasks pending, seconds the oldest of them waits, tasks ended in the last minute.

        Looks at every task: about 0.1 ms for a thousand.
        """
        own = [task for task in self._by_id.values() if task.account == account and task.operation is operation]
        waits_s = [now - task.submitted_at for task in own if now < task.life.final_at]
        ended = sum(now - 60 < task.life.final_at <= now for task in own)
        return len(waits_s), max(waits_s, default=0.0), float(ended)

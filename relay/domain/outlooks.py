"""Outlooks: what is expected of an account's tasks, learned for each operation by itself.

The operations have nothing in common but the budget: each takes its own time, and each has a queue of its own upstream.
"""

from collections import defaultdict
from operator import itemgetter

from relay.domain.backlog import Backlog
from relay.domain.candidate import NOBODY, Candidate, Entry
from relay.domain.model import MODEL_LIMIT_BYTES, read, written
from relay.domain.operations import Operation
from relay.domain.outlook import Outlook

_OPERATIONS = {operation.value: operation for operation in Operation}


class Outlooks:
    """An `Outlook` for each operation that has come up, and whichever sees the most in a look gets it."""

    def __init__(self) -> None:
        self._by_operation: defaultdict[Operation, Outlook] = defaultdict(Outlook)

    def of(self, candidate: Candidate) -> Outlook:
        """Return what is expected of tasks of its operation."""
        return self._by_operation[candidate.operation]

    def ahead(self) -> dict[Operation, int]:
        """Return how many tasks of each operation no later one has overtaken."""
        return {operation: outlook.ahead for operation, outlook in self._by_operation.items()}

    def hear(self, operation: Operation, backlog: Backlog, at: float) -> list[Candidate]:
        """Hear how an operation's queue stood at `at`; return those whose turn had come, as was not known yet."""
        outlook = self._by_operation[operation]
        return outlook.passed if outlook.hear(backlog, at) else []

    def put(self, entry: Entry) -> None:
        """Let it be picked."""
        self.of(entry.candidate).put(entry)

    def best(self, then: float) -> Candidate | None:
        """Return whom it is worth most to have looked at by `then`; a scout that is due comes first."""
        scouts = (outlook.scout() for outlook in self._by_operation.values())
        scout = next((scout for scout in scouts if scout is not None), None)
        if scout is not None:
            return scout
        proposals = (outlook.best(then) for outlook in self._by_operation.values())
        return max(proposals, key=itemgetter(0), default=NOBODY).candidate

    def model(self) -> bytes:
        """Return what was learned, at most `MODEL_LIMIT_BYTES`: if need be without the operations longest unasked."""
        outlooks = sorted(self._by_operation.items(), key=lambda each: each[1].asked_at, reverse=True)
        parts = {operation.value: outlook.learned() for operation, outlook in outlooks}
        model = written(parts)
        while len(model) > MODEL_LIMIT_BYTES:
            parts.popitem()
            model = written(parts)
        self.learn_from(model)  # so that the writer goes on exactly as its reader does
        return model

    def learn_from(self, model: bytes) -> None:
        """Go on from what another had learned; from a damaged or older model nothing is taken."""
        for operation, learned in read(model, Outlook().learned()).items():
            if operation in _OPERATIONS:
                self._by_operation[_OPERATIONS[operation]].recall(learned)

    def sweep(self) -> None:
        for outlook in self._by_operation.values():
            outlook.sweep()

    def __len__(self) -> int:
        return sum(map(len, self._by_operation.values()))

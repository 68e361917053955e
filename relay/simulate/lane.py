"""Lane: the relay's side of an account, of the parts that production is made of, without its processes."""

from math import inf
from typing import NamedTuple

from relay.domain.adaptive import Adaptive
from relay.domain.answer import Answer, AnswerKind
from relay.domain.backlog import Backlog, HintOutcome, Hints
from relay.domain.budget import Limit
from relay.domain.gate import Gate, GatePolicy, GateState, after_answer, after_send
from relay.domain.operations import Operation
from relay.domain.polling import Picker
from relay.domain.slots import Slot, Slots
from relay.domain.task import Task
from relay.simulate.grants import AHEAD_S, Grants

TURN_S = 1.0
SLACK_S = 0.25


class Poll(NamedTuple):
    """A poll that is sent: of which task, in which slot."""

    key: str
    slot: Slot


class Hint(NamedTuple):
    """A metrics call that is sent at an instant: about which operation, in which slot."""

    operation: Operation
    slot: Slot
    asked_at: float


class Lane:
    """Takes a turn each second while a task is pending, and sends a call for each slot that the gate lets through.

    It is a poll; with `hinted`, now and then a metrics call, which only the adaptive picker heeds.
    """

    def __init__(self, limit: Limit, picker: Picker, *, hinted: bool = False) -> None:
        self._heeds = picker if hinted and isinstance(picker, Adaptive) else None
        self._hints = Hints()
        self._limit = limit
        self._picker = picker
        self._slots = Slots(limit, slack_s=SLACK_S)
        self._grants = Grants(limit)
        self._gate = Gate()
        self._gate_policy = GatePolicy()
        self._turn_at = inf

    def add(self, key: str, task: Task, *, now: float) -> None:
        """Take in a new task; without a slot in hand, take a turn at once."""
        self._picker.add(key, task, now=now)
        if self._turn_at == inf or self._slots.ready_at(now) is None:
            self._turn_at = now

    def next_at(self, now: float) -> float:
        """Return when `send` has something to do, or infinity when something must happen first."""
        pick_at, slot_at = self._picker.ready_at(now=now), self._slots.ready_at(now)
        if pick_at is None or slot_at is None:
            return self._turn_at
        return min(self._turn_at, max(pick_at, slot_at, self._gate.opens_at(now)))

    def send(self, *, now: float) -> Poll | Hint | None:
        """Take the turn that is due, and return the call that is sent now, if one is."""
        if now >= self._turn_at:
            self._turn(now)
        if self._gate.opens_at(now) > now or self._picker.ready_at(now=now) != now:
            return None
        slot = self._slots.take(now)
        if slot is None:
            return None
        call = self._hint(slot, now) or self._poll(slot, now)
        self._gate = after_send(self._gate, self._gate_policy, now=now)
        return call

    def answered(self, poll: Poll, answer: Answer, *, now: float) -> None:
        """Hear the answer to a poll: gate, window and picker learn of it, and a task that is final is dropped."""
        self._slots.answered(poll.slot, now)
        self._gate = after_answer(self._gate, answer, self._gate_policy, self._limit, now=now)
        self._picker.answered(poll.key, answer, now=now)
        if answer.kind is AnswerKind.FINAL:
            self._picker.drop(poll.key)

    def told(self, hint: Hint, told: Backlog | Answer, *, now: float) -> None:
        """Hear the answer to a metrics call: of the gate it moves only what a refusal for rate does."""
        self._slots.answered(hint.slot, now)
        outcome = HintOutcome.FAILED
        if isinstance(told, Answer):
            self._gate = after_answer(self._gate, told, self._gate_policy, self._limit, now=now)
        elif self._heeds is not None:
            news = self._heeds.hear(hint.operation, told, asked_at=hint.asked_at, now=now)
            outcome = HintOutcome.NEWS if news else HintOutcome.NO_NEWS
        self._hints.told(hint.operation, outcome)

    def _hint(self, slot: Slot, now: float) -> Hint | None:
        if self._heeds is None or self._gate.state is not GateState.OPEN:
            return None
        operation = self._hints.due(self._heeds.ahead())
        return None if operation is None else Hint(operation, slot, now)

    def _poll(self, slot: Slot, now: float) -> Poll:
        key = self._picker.pick(now=now)
        if key is None:
            raise RuntimeError("the picker promised a task and had none")
        return Poll(key, slot)

    def _turn(self, now: float) -> None:
        want = self._wanted(now)
        ended = [(till_ms, max(0, hold_ms), 1) for till_ms, hold_ms, _ in self._slots.report(now).ended]
        self._slots.heard()
        earliest_in_s = self._slots.earliest_in(now)
        for in_s, till_ms in self._grants.turn(now, ended=ended, want=want, earliest_in_s=earliest_in_s):
            self._slots.grant(now + in_s, till_ms, 1)
        self._turn_at = now + TURN_S if len(self._picker) else inf

    def _wanted(self, now: float) -> int:
        if len(self._picker) == 0 or self._gate.opens_at(now) > now + TURN_S:
            self._slots.give_back()
            return 0
        return self._slots.wanted(now, ahead_s=AHEAD_S)

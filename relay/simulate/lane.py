"""Lane: the relay's side of an account, of the parts that production is made of, without its processes."""

from math import inf
from typing import NamedTuple

from relay.domain.answer import Answer, AnswerKind
from relay.domain.budget import Limit
from relay.domain.gate import Gate, GatePolicy, after_answer, after_send
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


class Lane:
    """Takes a turn each second while a task is pending, and sends a poll for each slot that the gate lets through."""

    def __init__(self, limit: Limit, picker: Picker) -> None:
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

    def send(self, *, now: float) -> Poll | None:
        """Take the turn that is due, and return the poll that is sent now, if one is."""
        if now >= self._turn_at:
            self._turn(now)
        if self._gate.opens_at(now) > now or self._picker.ready_at(now=now) != now:
            return None
        slot = self._slots.take(now)
        if slot is None:
            return None
        key = self._picker.pick(now=now)
        if key is None:
            raise RuntimeError("the picker promised a task and had none")
        self._gate = after_send(self._gate, self._gate_policy, now=now)
        return Poll(key, slot)

    def answered(self, poll: Poll, answer: Answer, *, now: float) -> None:
        """Hear the answer to a poll: gate, window and picker learn of it, and a task that is final is dropped."""
        self._slots.answered(poll.slot, now)
        self._gate = after_answer(self._gate, answer, self._gate_policy, self._limit, now=now)
        self._picker.answered(poll.key, answer, now=now)
        if answer.kind is AnswerKind.FINAL:
            self._picker.drop(poll.key)

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

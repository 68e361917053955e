"""The gate of one account: when a refusal, a wrong key or a sick upstream holds back *all* its polls.

open: polls go as the budget admits. waiting: no poll until `until`, then open again (a refusal for rate, or errors
in a row). paused: the account itself is refused - wrong key or wrong path. While it is shut against errors or paused,
one probe goes at a time, however long the one before takes, so what heals is seen within `max_backoff_s` or `probe_s`.
Nothing is lost meanwhile: the tasks stay pending.

A refusal of an id (400, 404) may be the fault of that id alone: as long as few ids were refused, a new one is asked
about at once, as its answer may open the gate. When many were, the clock of deadlines stands as in an outage.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from relay.domain.answer import Answer, AnswerKind
from relay.domain.budget import Limit


class GateState(StrEnum):
    """Whether the account's polls may go."""

    OPEN = "open"
    WAITING = "waiting"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """`refusals`: answers in a row, none of them usable, after which the account itself is taken to be refused.

    `probe_s`: seconds between two probes of a paused account. `backoff_s`, doubled for each error in a row after the
    first `errors`, at most `max_backoff_s`: seconds between two probes of an upstream that only fails.
    """

    refusals: int = 5
    probe_s: float = 60.0
    errors: int = 3
    backoff_s: float = 0.5
    max_backoff_s: float = 4.0


@dataclass(frozen=True, slots=True)
class Gate:
    """The account's gate. Times are Unix seconds; `reason` is the AnswerKind that closed it.

    `failing_since` is when the first answer came that told nothing of any task; None when the last one did.
    `refused` are some of the tasks that were refused in a row, `paused_at` is when that paused the account.
    """

    state: GateState = GateState.OPEN
    until: float = 0.0
    reason: AnswerKind | None = None
    refusals: int = 0
    errors: int = 0
    throttles: int = 0
    answered_at: float | None = None
    failing_since: float | None = None
    refused: frozenset[str] = frozenset()
    paused_at: float | None = None

    @property
    def pause(self) -> "Pause | None":
        """What everybody should know of a paused account."""
        if self.state is not GateState.PAUSED or self.reason is None or self.paused_at is None:
            return None
        return Pause(self.reason, self.paused_at, self.until, self.refused)

    def opens_at(self, now: float) -> float:
        """Return when the next poll may go."""
        return now if self.state is GateState.OPEN else max(now, self.until)


@dataclass(frozen=True, slots=True)
class Pause:
    """An account whose every call is refused: why, since when, when it will be probed (Unix seconds), and some ids."""

    reason: AnswerKind
    since: float
    probe_at: float
    refused: frozenset[str]

    def gate(self, policy: GatePolicy) -> Gate:
        """Return the gate of whoever goes on with the account: a change of hands is no reason to ask more often."""
        return Gate(
            state=GateState.PAUSED,
            until=self.probe_at,
            reason=self.reason,
            refusals=policy.refusals,
            failing_since=self.since if self.reason in _TELL_NOTHING else None,
            paused_at=self.since,
            refused=self.refused,
        )


FIRST_WAIT = 0.1  # of the window

_ACCOUNT_FAULTS = frozenset({AnswerKind.UNAUTHORIZED, AnswerKind.REJECTED})
_FAILURES = frozenset({AnswerKind.ERROR, AnswerKind.TIMEOUT, AnswerKind.UNUSABLE})
_TELL_NOTHING = _FAILURES | {AnswerKind.THROTTLED, AnswerKind.UNAUTHORIZED}


def after_answer(gate: Gate, answer: Answer, policy: GatePolicy, limit: Limit, *, now: float, task: str = "") -> Gate:
    """Return the gate after one answer to any of the account's polls, to that of `task`."""
    if answer.kind in _TELL_NOTHING and gate.failing_since is None:
        gate = replace(gate, failing_since=now)
    if answer.kind is AnswerKind.THROTTLED:
        return _after_throttle(gate, answer, limit, now)
    if answer.kind in _ACCOUNT_FAULTS:
        return _after_refusal(gate, answer, policy, now, task)
    if answer.kind in _FAILURES:
        return _after_failure(gate, answer, policy, now)
    return Gate(answered_at=now)


def after_send(gate: Gate, policy: GatePolicy, *, now: float) -> Gate:
    """Return the gate after a poll was sent: one that is shut, but for a rate, lets the next one go a while later."""
    if gate.state is GateState.PAUSED:
        return replace(gate, until=now + policy.probe_s)
    if gate.state is GateState.WAITING and gate.reason in _FAILURES:
        return replace(gate, until=now + _backoff_s(gate, policy))
    return gate


def after_news(gate: Gate, policy: GatePolicy, *, now: float) -> Gate:
    """Return the gate when there are new tasks: few ids refused say little of the account, so they are asked about."""
    if gate.state is GateState.PAUSED and gate.reason is AnswerKind.REJECTED and len(gate.refused) < policy.refusals:
        return replace(gate, until=now)
    return gate


def after_mending(gate: Gate, *, now: float) -> Gate:
    """Return the gate when the account's key or URL was changed: a paused one is probed at once."""
    return replace(gate, until=now) if gate.state is GateState.PAUSED else gate


def _waiting(gate: Gate, reason: AnswerKind, *, until: float) -> Gate:
    if gate.state is GateState.PAUSED:
        return replace(gate, until=max(gate.until, until))
    return replace(gate, state=GateState.WAITING, reason=reason, until=max(gate.until, until))


def _after_throttle(gate: Gate, answer: Answer, limit: Limit, now: float) -> Gate:
    """Wait as long as was asked for, else a part of the window, doubled for each refusal in a row.

    Somebody else spends from the account, and calls leave the window all the time: waiting for the whole of it left
    60 % of the remaining budget unused.
    """
    throttled = replace(gate, throttles=gate.throttles + 1)
    wait_s = limit.window_s * min(1.0, FIRST_WAIT * 2.0 ** min(gate.throttles, 16))
    return _waiting(
        throttled, answer.kind, until=now + (wait_s if answer.retry_after_s is None else answer.retry_after_s)
    )


def _after_refusal(gate: Gate, answer: Answer, policy: GatePolicy, now: float, task: str) -> Gate:
    some = gate.refused if len(gate.refused) >= policy.refusals else gate.refused | {task}
    refused = replace(gate, refusals=gate.refusals + 1, refused=some)
    if refused.refusals < policy.refusals:
        return refused
    until = max(gate.until, now + policy.probe_s)
    paused = replace(refused, state=GateState.PAUSED, reason=answer.kind, until=until)
    if gate.paused_at is None:
        paused = replace(paused, paused_at=now)
    if gate.failing_since is None and len(some) >= policy.refusals:
        paused = replace(paused, failing_since=now)
    return paused


def _after_failure(gate: Gate, answer: Answer, policy: GatePolicy, now: float) -> Gate:
    """Shut the gate; while it is shut so, what comes back of earlier polls does not hold back the next probe."""
    failed = replace(gate, errors=gate.errors + 1)
    if failed.errors < policy.errors:
        return failed
    if gate.state is GateState.WAITING and gate.reason in _FAILURES:
        return replace(failed, reason=answer.kind)
    return _waiting(failed, answer.kind, until=now + _backoff_s(failed, policy))


def _backoff_s(gate: Gate, policy: GatePolicy) -> float:
    return min(policy.backoff_s * 2.0 ** min(max(0, gate.errors - policy.errors), 16), policy.max_backoff_s)

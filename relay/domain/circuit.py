"""Circuit: what a host's answers have shown of it, and how many attempts it may have at once.

Rule: whatever moves a circuit stands in `MOVES` and goes through `_moved`; nothing else sets its state.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from relay.domain.delivery import Outcome, Reply
from relay.domain.errors import IllegalMoveError


class CircuitState(StrEnum):
    """What is believed of a host.

    closed: it answers, and quickly. half_open: nothing is known, or it failed last, or it is slow: one attempt at a
    time. open: it fails again and again, or has asked for a pause: no attempt before `retry_at`.
    """

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class CircuitMove(StrEnum):
    """What can happen to a circuit."""

    ANSWERED = "answered"
    LAGGED = "lagged"
    FAILED = "failed"
    TRIPPED = "tripped"
    RESUMED = "resumed"


MOVES: dict[CircuitState, dict[CircuitMove, CircuitState]] = {
    CircuitState.CLOSED: {
        CircuitMove.ANSWERED: CircuitState.CLOSED,
        CircuitMove.LAGGED: CircuitState.HALF_OPEN,
        CircuitMove.FAILED: CircuitState.HALF_OPEN,
        CircuitMove.TRIPPED: CircuitState.OPEN,
    },
    CircuitState.HALF_OPEN: {
        CircuitMove.ANSWERED: CircuitState.CLOSED,
        CircuitMove.LAGGED: CircuitState.HALF_OPEN,
        CircuitMove.FAILED: CircuitState.HALF_OPEN,
        CircuitMove.TRIPPED: CircuitState.OPEN,
    },
    CircuitState.OPEN: {  # attempts that were under way as it opened still end
        CircuitMove.ANSWERED: CircuitState.CLOSED,
        CircuitMove.LAGGED: CircuitState.HALF_OPEN,
        CircuitMove.FAILED: CircuitState.OPEN,
        CircuitMove.RESUMED: CircuitState.HALF_OPEN,
    },
}


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """How a host is judged.

    An answer that took over `slow_s` is a slow one. `failures` in a row, over at least `patience_s`, open the circuit:
    for `first_pause_s`, and twice as long after each failed probe, at most `longest_pause_s`. A pause that the host
    asks for with Retry-After is granted up to that long too: others who are behind the same host wait with it.
    """

    slow_s: float = 5.0
    failures: int = 5
    patience_s: float = 10.0
    first_pause_s: float = 2.0
    longest_pause_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Circuit:
    """One host's circuit. Instants are seconds of any one monotonic clock.

    `failures` in a row, the first of them at `failing_since`. `pauses` is how often it has tripped since the last
    answer. `retry_at` is when it may be tried again: set exactly while it is open.
    """

    state: CircuitState = CircuitState.HALF_OPEN
    failures: int = 0
    failing_since: float = 0.0
    pauses: int = 0
    retry_at: float | None = None


_ANSWERS = frozenset({Outcome.DELIVERED, Outcome.REDIRECT, Outcome.GONE, Outcome.CLIENT_ERROR})


def after_reply(circuit: Circuit, reply: Reply, policy: CircuitPolicy, *, pause_s: float | None, now: float) -> Circuit:
    """Return the host's circuit after an attempt that ended at `now`; `pause_s` is how long its Retry-After asks for.

    An answer that is the caller's fault (4xx) or a redirect shows that the host is well. What the destination policy
    refused shows nothing.
    """
    if reply.outcome is Outcome.REFUSED:
        return circuit
    if reply.outcome in _ANSWERS:
        return _moved(
            Circuit(circuit.state), CircuitMove.LAGGED if reply.duration_s > policy.slow_s else CircuitMove.ANSWERED
        )
    since = circuit.failing_since if circuit.failures else now - reply.duration_s
    failed = replace(circuit, failures=circuit.failures + 1, failing_since=since)
    if circuit.state is CircuitState.OPEN:
        return _moved(failed, CircuitMove.FAILED)
    asked_s = pause_s if pause_s is not None and reply.status_code in {429, 503} else 0.0
    if failed.failures >= policy.failures and now - since >= policy.patience_s:
        return _tripped(replace(failed, pauses=failed.pauses + 1), policy, at_least_s=asked_s, now=now)
    if asked_s > 0:
        return _tripped(failed, policy, at_least_s=asked_s, now=now)
    return _moved(failed, CircuitMove.FAILED)


def after_pause(circuit: Circuit, *, now: float) -> Circuit:
    """Return the circuit as it is at `now`: one whose pause is over admits a probe."""
    if circuit.retry_at is None or circuit.retry_at > now:
        return circuit
    return replace(_moved(circuit, CircuitMove.RESUMED), retry_at=None)


def _tripped(circuit: Circuit, policy: CircuitPolicy, *, at_least_s: float, now: float) -> Circuit:
    own_s = policy.first_pause_s * 2.0 ** min(circuit.pauses - 1, 16) if circuit.pauses else 0.0
    pause_s = min(max(own_s, at_least_s), policy.longest_pause_s)
    return replace(_moved(circuit, CircuitMove.TRIPPED), retry_at=now + pause_s)


def _moved(circuit: Circuit, move: CircuitMove) -> Circuit:
    after = MOVES[circuit.state].get(move)
    if after is None:
        raise IllegalMoveError(circuit.state, move)
    return replace(circuit, state=after)

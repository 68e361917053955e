"""What a host's answers make of its circuit."""

from dataclasses import replace

import pytest

from relay.domain.circuit import MOVES, Circuit, CircuitMove, CircuitPolicy, CircuitState, after_pause, after_reply
from relay.domain.delivery import Outcome, Reply

POLICY = CircuitPolicy()
NEW = Circuit()
CLOSED = Circuit(CircuitState.CLOSED)
HUNG = Reply(Outcome.TIMEOUT, duration_s=15.0)
BROKEN = Reply(Outcome.SERVER_ERROR, 500)


def replied(circuit: Circuit, *replies: Reply, at: float = 0.0, pause_s: float | None = None) -> Circuit:
    for reply in replies:
        circuit = after_reply(after_pause(circuit, now=at), reply, POLICY, pause_s=pause_s, now=at)
    return circuit


def failing(circuit: Circuit, times: int, *, each_s: float, at: float = 0.0) -> tuple[Circuit, float]:
    """Let attempts fail one after another; return the circuit and when the last one ended."""
    for _ in range(times):
        at = max(at, circuit.retry_at or 0.0) + each_s
        circuit = replied(circuit, replace(HUNG, duration_s=each_s), at=at)
    return circuit, at


def test_every_state_has_its_row_and_every_move_leads_somewhere() -> None:
    assert set(MOVES) == set(CircuitState)
    assert {move for row in MOVES.values() for move in row} == set(CircuitMove)


def test_of_a_new_host_nothing_is_known() -> None:
    assert NEW.state is CircuitState.HALF_OPEN


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(Outcome.DELIVERED, 204), (Outcome.REDIRECT, 301), (Outcome.GONE, 410), (Outcome.CLIENT_ERROR, 404)],
)
@pytest.mark.parametrize("state", list(CircuitState))
def test_an_answer_shows_that_the_host_is_well(outcome: Outcome, status: int, state: CircuitState) -> None:
    retry_at = 9.0 if state is CircuitState.OPEN else None
    before = Circuit(state, failures=3, failing_since=1.0, pauses=2, retry_at=retry_at)
    assert after_reply(before, Reply(outcome, status), POLICY, pause_s=None, now=5.0) == CLOSED


def test_a_slow_answer_is_no_failure_and_leaves_one_at_a_time() -> None:
    assert replied(CLOSED, Reply(Outcome.DELIVERED, 200, duration_s=5.1)) == NEW


def test_after_a_failure_one_is_tried_at_a_time() -> None:
    assert replied(CLOSED, BROKEN).state is CircuitState.HALF_OPEN


def test_many_failures_at_once_do_not_open_it_until_patience_is_over() -> None:
    crowd = replied(CLOSED, *[BROKEN] * 100)
    assert crowd.state is CircuitState.HALF_OPEN
    assert replied(crowd, BROKEN, at=9.9).state is CircuitState.HALF_OPEN
    assert replied(crowd, BROKEN, at=10.0).state is CircuitState.OPEN


def test_few_failures_do_not_open_it_however_long_they_last() -> None:
    assert failing(CLOSED, 4, each_s=15.0)[0].state is CircuitState.HALF_OPEN
    assert failing(CLOSED, 5, each_s=15.0)[0].state is CircuitState.OPEN


def test_each_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    circuit, at = failing(CLOSED, 5, each_s=15.0)
    pauses = []
    for _ in range(6):
        assert circuit.retry_at is not None
        pauses.append(circuit.retry_at - at)
        circuit, at = failing(circuit, 1, each_s=15.0, at=at)
    assert pauses == [2, 4, 8, 16, 30, 30]


def test_a_pause_that_is_over_admits_a_probe_and_not_before() -> None:
    opened, at = failing(CLOSED, 5, each_s=15.0)
    assert after_pause(opened, now=at + 1.9).state is CircuitState.OPEN
    probing = after_pause(opened, now=at + 2)
    assert (probing.state, probing.retry_at) == (CircuitState.HALF_OPEN, None)


def test_what_ends_while_it_is_open_prolongs_nothing() -> None:
    opened, at = failing(CLOSED, 5, each_s=15.0)
    assert replied(opened, HUNG, at=at + 1).retry_at == opened.retry_at


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked_s", "granted_s"), [(3, 3), (30, 30), (86_400, 30)])
def test_a_host_that_asks_for_a_pause_gets_it_up_to_the_longest(status: int, asked_s: float, granted_s: float) -> None:
    outcome = Outcome.THROTTLED if status == 429 else Outcome.SERVER_ERROR
    paused = replied(CLOSED, Reply(outcome, status), at=7.0, pause_s=asked_s)
    assert (paused.state, paused.retry_at, paused.pauses) == (CircuitState.OPEN, 7.0 + granted_s, 0)
    assert replied(paused, Reply(Outcome.DELIVERED, 200), at=7.0 + granted_s) == CLOSED


@pytest.mark.parametrize(("status", "pause_s"), [(500, 60.0), (503, None), (503, 0.0), (503, -5.0)])
def test_a_failure_that_asks_for_no_pause_of_the_host_pauses_nobody(status: int, pause_s: float | None) -> None:
    assert replied(CLOSED, Reply(Outcome.SERVER_ERROR, status), pause_s=pause_s).state is CircuitState.HALF_OPEN


def test_what_the_policy_refused_says_nothing_of_the_host() -> None:
    opened, at = failing(CLOSED, 5, each_s=15.0)
    for circuit in (NEW, CLOSED, opened):
        assert after_reply(circuit, Reply(Outcome.REFUSED), POLICY, pause_s=None, now=at) == circuit
